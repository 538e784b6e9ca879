/**
 * The engine pack: the prebuilt llama.cpp addon of node-llama-cpp 3.22.1, one npm package per platform, and the
 * checksums it must have. The package for this platform is all that is fetched: it needs no other.
 */
export const packVersion = '3.22.1'
export const packLlamaCpp = 'v0.5.0'

export interface PackPackage {
  name: string
  /** Folder of the addon inside the package. */
  folder: string
  /**
   * npm's sha512 of the tarball. Null where we have not seen the package ourselves: npm then checks it
   * against what the registry says, and no more.
   */
  integrity: string | null
  /** Unpacked, for progress and the disk check. */
  bytes: number
  gpu: 'cuda' | 'vulkan' | 'metal' | null
}

const pack = (
  suffix: string,
  bytes: number,
  gpu: PackPackage['gpu'],
  integrity: string | null = null,
): PackPackage => ({
  name: `@node-llama-cpp/${suffix}`,
  folder: `bins/${suffix}`,
  integrity,
  bytes,
  gpu,
})

const packs: Record<string, PackPackage> = {
  'linux-x64': pack(
    'linux-x64',
    30e6,
    null,
    'sha512-5uCCDNqWCNfaAm8aR/Uzxbo4HBpKgNF91kCHPepKhgMgV2OAmatoefbOlMihsqCiH2Od35E/eUHQCFbfRBJuOg==',
  ),
  'linux-x64-cuda': pack(
    'linux-x64-cuda',
    181e6,
    'cuda',
    'sha512-8rQCjyNNLZJUFit+YpjwlC4hwkKgOMIkB2wuycKBf8NU2O3ySKbiWZQ8aw9ku2nUTXjSnUIrE6KB88itduTBuA==',
  ),
  'linux-x64-vulkan': pack(
    'linux-x64-vulkan',
    71e6,
    'vulkan',
    'sha512-bBxqU+JOcBu1nb5Qj2zcMci+JByT1E8EajHvYodyNfVIPkEhXh+/HMwR1/BT7xP08YK0hks+kM8fglER0P8JEg==',
  ),
  'linux-arm64': pack(
    'linux-arm64',
    20e6,
    null,
    'sha512-W+7naKCXX9/eEjjFmRS8vvx91QyLXDbeFxexZc3bh/PtQABZgmRL3C0AtYYXn4YGTj/3Qor4lWZn2tpjZFPLdQ==',
  ),
  'mac-arm64-metal': pack('mac-arm64-metal', 20e6, 'metal'),
  'mac-x64': pack('mac-x64', 20e6, null),
  'win-x64': pack('win-x64', 30e6, null),
  'win-x64-cuda': pack('win-x64-cuda', 181e6, 'cuda'),
  'win-x64-vulkan': pack('win-x64-vulkan', 71e6, 'vulkan'),
  'win-arm64': pack('win-arm64', 20e6, null),
}

export interface PackMachine {
  platform: NodeJS.Platform
  arch: string
  /** An NVIDIA driver and the CUDA runtime libraries are here. */
  cuda: boolean
  /** A Vulkan loader and a GPU are here. */
  vulkan: boolean
}

/** The package for a machine, the fastest that can run there; null where there is none. */
export function choosePackage(machine: PackMachine): PackPackage | null {
  const { platform, arch } = machine
  const system = platform === 'darwin' ? 'mac' : platform === 'win32' ? 'win' : platform
  const base = system === 'mac' && arch === 'arm64' ? 'mac-arm64-metal' : `${system}-${arch}`
  const names = [machine.cuda ? `${base}-cuda` : '', machine.vulkan ? `${base}-vulkan` : '', base]
  for (const name of names) {
    const found = packs[name]
    if (found) return found
  }
  return null
}
