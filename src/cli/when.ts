/**
 * A moment for people, in the time of this machine: `2026-11-21 22:05`. One form for every command, whatever the
 * language of the terminal: in a table of audits 11/12 must not be two days.
 */
export function formatWhen(moment: string | number): string {
  const at = new Date(moment)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`
}
