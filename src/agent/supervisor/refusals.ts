/** What the supervisor says to those it refuses. */
import { HolonError } from '../../core/errors.ts'

export function notRunning(): HolonError {
  return new HolonError('not_running', 'Holon is shutting down.')
}

export function noRoom(model: string): HolonError {
  return new HolonError(
    'overloaded',
    `There is no free memory for ${model}, and nothing is to leave for it.`,
    {
      retryAfterS: 60,
    },
  )
}

export function stillAnswering(model: string): HolonError {
  return new HolonError('overloaded', `${model} is still answering; it was not reloaded.`, {
    hint: 'Try again when it is idle.',
  })
}

export function unloadedMeanwhile(model: string): HolonError {
  return new HolonError('model_load_failed', `${model} was unloaded while it was being loaded.`)
}

export function crashedTooOften(model: string, crashes: number, reason: string): HolonError {
  return new HolonError('engine_crashed', `${model} crashed ${crashes} times in a row: ${reason}`, {
    source: 'engine',
    hint: 'The engine log says more.',
  })
}
