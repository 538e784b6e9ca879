export type { OutputItem } from './answer.ts'
export { type Memory, type ResponsesRequest, readRequest } from './request.ts'
export { ResponsesTeller } from './stream.ts'
