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

/**
 * Only a page that is seen watches the fleet: a browser grants one server six connections over all tabs, and tabs
 * left open in the background would take them all and leave a new one waiting for ever.
 */
let watching: AbortController | null = null
function watchWhileSeen(): void {
  if (document.hidden) {
    watching?.abort()
    watching = null
  } else if (watching === null) {
    watching = new AbortController()
    void fleet.run(watching.signal)
  }
}
watchWhileSeen()
document.addEventListener('visibilitychange', watchWhileSeen)

addEventListener('pagehide', () => chat.flush())
addEventListener('storage', () => chat.refreshList())
addEventListener('online', () => fleet.hurry())
