import { attribute, type NativeModel, vocabularyKind } from './binding.ts'

/**
 * Tokens as the exact bytes they stand for. The binding turns each token into a string, which destroys a character
 * that two tokens share; bytes let a decoder further on put it together again.
 */
export class Vocabulary {
  readonly bos: number
  private readonly model: NativeModel
  private readonly kind: number
  private readonly pieces = new Map<number, Buffer>()

  constructor(model: NativeModel) {
    this.model = model
    this.kind = model.getVocabularyType()
    this.bos = model.tokenBos()
  }

  tokenize(text: string, options: { special: boolean }): number[] {
    return Array.from(this.model.tokenize(text, options.special))
  }

  /** A prompt's tokens: as {@link tokenize}, with the beginning-of-sequence token where the model wants one. */
  tokenizePrompt(text: string): number[] {
    const tokens = this.tokenize(text, { special: true })
    const wanted = this.kind === vocabularyKind.wordPiece || this.model.shouldPrependBosToken()
    // Many chat templates write the token themselves; twice confuses models.
    if (this.bos >= 0 && wanted && tokens[0] !== this.bos) tokens.unshift(this.bos)
    return tokens
  }

  /** A text to embed: between the tokens that mark its start and end, where the model was trained with them. */
  tokenizeDocument(text: string): number[] {
    const tokens = this.tokenizePrompt(text)
    const end = this.documentEnd()
    if (end >= 0 && tokens.at(-1) !== end) tokens.push(end)
    return tokens
  }

  private documentEnd(): number {
    const { model, kind } = this
    if (kind === vocabularyKind.wordPiece) return model.sepToken()
    return kind === vocabularyKind.unigram || model.shouldAppendEosToken() ? model.tokenEos() : -1
  }

  isEnd(token: number): boolean {
    return this.model.isEogToken(token)
  }

  isControl(token: number): boolean {
    return (this.model.getTokenAttributes(token) & attribute.control) !== 0
  }

  /** The token's own text in the vocabulary, special ones included. */
  name(token: number): string {
    return this.bytes(token).toString('utf8')
  }

  bytes(token: number): Buffer {
    const known = this.pieces.get(token)
    if (known) return known
    const piece = this.read(token)
    this.pieces.set(token, piece)
    return piece
  }

  private read(token: number): Buffer {
    const text = this.model.getTokenString(token) ?? ''
    const bits = this.model.getTokenAttributes(token)
    if (bits & (attribute.control | attribute.userDefined)) return Buffer.from(text)
    if (this.kind === vocabularyKind.bytePair) return byteLevel(text)
    if (this.kind === vocabularyKind.sentencePiece || this.kind === vocabularyKind.unigram) {
      const hex = bits & attribute.byte ? /^<0x([0-9A-Fa-f]{2})>$/.exec(text) : null
      if (hex?.[1]) return Buffer.from([Number.parseInt(hex[1], 16)])
      return Buffer.from(text.replaceAll('\u2581', ' '))
    }
    return Buffer.from(this.model.detokenize(Uint32Array.of(token), true))
  }
}

/** GPT-2's map of bytes to printable characters, read backwards. */
const byteOf = new Map<string, number>()
{
  let next = 256
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    byteOf.set(String.fromCodePoint(printable ? byte : next++), byte)
  }
}

function byteLevel(text: string): Buffer {
  const bytes: number[] = []
  for (const character of text) {
    const byte = byteOf.get(character)
    // Some byte-pair vocabularies are not byte-level: then the text is the text.
    if (byte === undefined) return Buffer.from(text)
    bytes.push(byte)
  }
  return Buffer.from(bytes)
}
