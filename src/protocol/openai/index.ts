export { checkRequest, type Endpoint, type OpenAiRequest, requireHonoured } from './request.ts'
