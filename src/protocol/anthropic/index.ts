export { errorBody } from './errors.ts'
export { type AnthropicRequest, readRequest } from './request.ts'
export { AnthropicTeller } from './stream.ts'
