import { badParameter, booleanAt, stringAt } from './fields.ts'
import { type Route, sendJson } from './http.ts'
import type { LoadedModel } from './load.ts'
import { renderChat } from './routes-chat.ts'
import { isToken } from './routes-completions.ts'

/** What the engine says about itself, in llama-server's words where it has them. */
export function infoRoutes(loaded: LoadedModel): [string, Route][] {
  const created = Math.floor(Date.now() / 1000)
  return [
    ['GET /health', ({ response }) => sendJson(response, { status: 'ok' })],
    ['GET /v1/models', ({ response }) => sendJson(response, models(loaded, created))],
    ['GET /props', ({ response }) => sendJson(response, properties(loaded))],
    [
      'POST /tokenize',
      ({ body, response }) => {
        const content = stringAt(body, 'content')
        if (content === undefined) throw badParameter('content', 'content is missing.')
        const { vocabulary } = loaded
        const whole = booleanAt(body, 'add_special') ?? false
        const tokens = whole
          ? vocabulary.tokenizePrompt(content)
          : vocabulary.tokenize(content, { special: booleanAt(body, 'parse_special') ?? true })
        sendJson(response, { tokens })
      },
    ],
    [
      'POST /detokenize',
      ({ body, response }) => {
        const { tokens } = body
        if (!Array.isArray(tokens) || !tokens.every((token) => isToken(token, loaded.vocabularySize))) {
          throw badParameter('tokens', `tokens must be an array of token ids below ${loaded.vocabularySize}.`)
        }
        const bytes = (tokens as number[]).map((token) => loaded.vocabulary.bytes(token))
        sendJson(response, { content: Buffer.concat(bytes).toString('utf8') })
      },
    ],
    [
      'POST /apply-template',
      ({ body, response }) => sendJson(response, { prompt: renderChat(loaded, body).text }),
    ],
  ]
}

function models(loaded: LoadedModel, created: number): object {
  const { model } = loaded
  const meta = {
    n_ctx: loaded.contextTokens,
    n_ctx_train: model.getTrainContextSize(),
    n_embd: model.getEmbeddingVectorSize(),
    n_params: model.getTotalParameters(),
    n_vocab: loaded.vocabularySize,
    size: model.getTotalSize(),
  }
  return { object: 'list', data: [{ id: loaded.id, object: 'model', created, owned_by: 'holon', meta }] }
}

function properties(loaded: LoadedModel): object {
  const { template, decoder } = loaded
  return {
    build_info: 'holon-embedded llama.cpp v0.5.0',
    model_path: loaded.path,
    total_slots: loaded.parallel,
    default_generation_settings: { n_ctx: loaded.contextTokens },
    threads: loaded.threads,
    requests: decoder?.busy ?? { running: 0, waiting: 0 },
    chat_template: template.source,
    chat_template_missing: template.missing,
    chat_template_problem: template.broken,
    system_info: loaded.native.systemInfo(),
  }
}
