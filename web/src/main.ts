import './app.css'
import { mount } from 'svelte'
import App from './App.svelte'
import { browserEffects, browserStorage } from './lib/browser.ts'
import { ChatStore } from './lib/chat.ts'
import { FleetWatch } from './lib/fleet.ts'
import { ChatHistory } from './lib/history.ts'

const storage = browserStorage()
const chat = new ChatStore(new ChatHistory(storage), browserEffects)
const fleet = new FleetWatch(browserEffects)

mount(App, { target: document.getElementById('app')!, props: { chat, fleet, storage } })
void fleet.run(new AbortController().signal)

addEventListener('pagehide', () => chat.flush())
addEventListener('storage', () => chat.refreshList())
addEventListener('online', () => fleet.hurry())
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) fleet.hurry()
})
