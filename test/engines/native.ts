import { embeddedDriver } from '../../src/engines/embedded/index.ts'
import { loadNative, type NativeModule } from '../../src/engines/embedded/server/binding.ts'
import { testHome } from '../support/engine-home.ts'

/** The native addon itself, fetched when missing, to ask its grammar parser what it accepts. */
export async function nativeModule(): Promise<NativeModule> {
  const home = testHome()
  try {
    const driver = embeddedDriver(home)
    await driver.install({ onProgress: () => undefined, signal: new AbortController().signal })
    const { path } = await driver.detect()
    return await loadNative(path ?? '', () => undefined)
  } finally {
    home.remove()
  }
}
