export { type ResponsesRequest, readRequest } from './request.ts'
export { ResponsesTeller } from './stream.ts'
