export { errorBody } from './errors.ts'
export { describeShown, psRow, tagRow } from './models.ts'
export { type OllamaRequest, readChat, readEmbed, readEmbeddings, readGenerate } from './request.ts'
export { OllamaTeller } from './stream.ts'
