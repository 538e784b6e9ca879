export { errorBody } from './errors.ts'
export { describeShown, psRow, type Shown, tagRow } from './models.ts'
export { type OllamaRequest, readChat, readEmbed, readEmbeddings, readGenerate } from './request.ts'
export { OllamaTeller, type Times } from './stream.ts'
