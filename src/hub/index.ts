export { createHub, type Hub, type HubConfig, type HubOptions } from './hub.ts'
