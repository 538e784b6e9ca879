import './app.css'
import { mount } from 'svelte'
import App from './App.svelte'
import { browserEffects, browserStorage } from './lib/browser.ts'
import { ChatStore } from './lib/chat.ts'
import { FleetWatch } from './lib/fleet.ts'
import { ChatHistory } from './lib/history.ts'
import { HubKey } from './lib/hub-key.ts'

const storage = browserStorage()
const key = new HubKey(storage, (input, init) => fetch(input, init))
const effects = browserEffects(key.fetch)
const chat = new ChatStore(new ChatHistory(storage), effects)
const fleet = new FleetWatch(effects)

mount(App, { target: document.getElementById('app')!, props: { chat, fleet, key, storage } })

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
