/**
 * What a person may write after `holon pull`, and what it means. Deciding this in one place keeps the ambiguity out
 * of the rest: a path is a path only when it looks like one.
 */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { HolonError } from '../../core/errors.ts'

export type PullSpec =
  | { kind: 'hugging-face'; repo: string; quant: string | null; file: string | null }
  | { kind: 'url'; url: URL }
  | { kind: 'file'; path: string }

const hint =
  'Examples: `holon pull owner/repo`, `holon pull owner/repo:Q4_K_M`, `holon pull owner/repo/file.gguf`, ' +
  '`holon pull https://host/file.gguf`, `holon pull ./file.gguf`.'

const repoName = /^[\w.-]+\/[\w.-]+$/

/** @throws HolonError usage when the text is none of the known forms */
export function parsePullSpec(text: string, cwd: string): PullSpec {
  const spec = text.trim()
  if (/^https?:\/\//i.test(spec)) return parseUrl(spec)
  const named = /^(?:hf|huggingface):(?:\/\/)?(.*)$/i.exec(spec)?.[1]
  if (named !== undefined) return parseRepo(named, text)
  if (looksLikePath(spec)) return { kind: 'file', path: localPath(spec, cwd) }
  return parseRepo(spec, text)
}

/** `model.gguf` and `folder/model.gguf` are paths; `owner/repo/model.gguf` is a file of a repository. */
function looksLikePath(spec: string): boolean {
  if (/^(\.{0,2}[\\/]|~[\\/]|[A-Za-z]:[\\/]|file:)/.test(spec)) return true
  return /\.gguf$/i.test(spec) && spec.split('/').length <= 2
}

function localPath(spec: string, cwd: string): string {
  if (spec.startsWith('file:')) return decodeURIComponent(new URL(spec).pathname)
  if (/^~[\\/]/.test(spec)) return join(homedir(), spec.slice(2))
  return resolve(cwd, spec)
}

function parseRepo(spec: string, original: string): PullSpec {
  const [path = '', quant = null] = splitOnce(spec, ':')
  const [owner = '', name = '', ...rest] = path.split('/')
  const repo = `${owner}/${name}`
  const file = rest.length > 0 ? rest.join('/') : null
  const badPart = rest.some((part) => part === '' || part === '.' || part === '..')
  if (
    !repoName.test(repo) ||
    repo.includes('..') ||
    badPart ||
    (quant !== null && !/^[\w.-]+$/.test(quant))
  ) {
    throw new HolonError(
      'usage',
      `"${original}" names neither a Hugging Face repository, a URL nor a file.`,
      { hint },
    )
  }
  if (file !== null && !/\.gguf$/i.test(file)) {
    throw new HolonError('usage', `"${file}" is no GGUF file; Holon serves GGUF models.`, { hint })
  }
  return { kind: 'hugging-face', repo, quant, file }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function parseUrl(spec: string): PullSpec {
  if (!URL.canParse(spec)) throw new HolonError('usage', `"${spec}" is no valid URL.`, { hint })
  const url = new URL(spec)
  if (url.hostname === 'huggingface.co' || url.hostname === 'hf.co') {
    const [, owner, name, verb, , ...file] = url.pathname.split('/').map(decodeURIComponent)
    const isFile = (verb === 'blob' || verb === 'resolve') && file.length > 0
    return parseRepo([owner, name, ...(isFile ? file : [])].join('/'), spec)
  }
  if (url.protocol === 'http:' && !isPrivateHost(url.hostname)) {
    throw new HolonError('usage', `${url.hostname} would send the model unencrypted over the internet.`, {
      hint: 'Use an https:// address. Plain http:// is taken only from this machine and private networks.',
    })
  }
  return { kind: 'url', url }
}

/** A model is parsed by native code, so it must not be replaceable on the way. */
function isPrivateHost(host: string): boolean {
  return (
    host === 'localhost' ||
    host === '[::1]' ||
    /\.(local|lan|internal|home\.arpa)$/.test(host) ||
    /^(127|10)\.|^192\.168\.|^169\.254\.|^172\.(1[6-9]|2\d|3[01])\.|^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(
      host,
    )
  )
}
