/** GET /fleet/v1/requests/{id}: a choice unfolded. */
import { HolonError } from '../../core/errors.ts'
import { explainResponse } from '../../protocol/explain.ts'
import { explainRequest } from '../scheduler/explain-choice.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { Operation } from './operations.ts'

export function explainOperations({ decisions }: Scheduler): Operation[] {
  return [
    {
      method: 'get',
      path: '/fleet/v1/requests/{id}',
      summary: 'Why a request went where it went, what was predicted, and what came of it.',
      request: null,
      response: explainResponse,
      run: async (_, { params }) => {
        const explained = explainRequest(decisions, params.id ?? '')
        if (explained !== null) return explained
        throw new HolonError(
          'not_found',
          `Nothing is remembered of a request "${params.id?.slice(0, 130)}".`,
          {
            hint: 'The id stands in the x-request-id header of the answer. The hub keeps the latest 10,000 choices since its start.',
          },
        )
      },
    },
  ]
}
