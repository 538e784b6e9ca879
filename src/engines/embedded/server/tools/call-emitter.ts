import { newId } from '../../../../core/ids.ts'
import type { Delta } from './output-parser.ts'

/** Numbers tool calls and wraps them as deltas. */
export class CallEmitter {
  calls = 0

  begin(name: string): Delta {
    const index = this.calls++
    return {
      tool_calls: [{ index, id: newId('call'), type: 'function', function: { name, arguments: '' } }],
    }
  }

  /** More arguments of the call begun last. */
  more(text: string): Delta[] {
    return text === '' ? [] : [{ tool_calls: [{ index: this.calls - 1, function: { arguments: text } }] }]
  }
}

/** Blanks before a call belong to nobody: they wait, and are text only if more text follows. */
export class ContentHolder {
  private blanks = ''
  private begun = false

  push(text: string): Delta[] {
    const whole = this.blanks + text
    const solid = whole.trimEnd()
    this.blanks = whole.slice(solid.length)
    if (solid === '') return []
    const content = this.begun ? solid : solid.trimStart()
    this.begun = true
    return [{ content }]
  }

  drop(): void {
    this.blanks = ''
  }

  /** At the end of an answer blanks are the model's own text again, unless nothing else was. */
  end(): Delta[] {
    const rest = this.begun ? this.blanks : ''
    this.blanks = ''
    return rest === '' ? [] : [{ content: rest }]
  }
}
