/** Comma-separated values with quotes (RFC 4180). Bounded by the text it is given; no dependency for 40 lines. */

export type CsvRecord = Record<string, string>

function fields(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let field = ''
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (quoted) {
      if (char !== '"') field += char
      else if (text[i + 1] === '"') {
        field += '"'
        i++
      } else quoted = false
    } else if (char === '"') quoted = true
    else if (char === ',') {
      row.push(field)
      field = ''
    } else if (char === '\n') {
      row.push(field)
      rows.push(row)
      row = []
      field = ''
    } else if (char !== '\r') field += char
  }
  if (field !== '' || row.length > 0) rows.push([...row, field])
  return rows
}

/** Records keyed by the names in the first line. Missing trailing fields are empty; blank lines are left out. */
export function parseCsv(text: string): { columns: string[]; records: CsvRecord[] } {
  const [header = [], ...body] = fields(text.replace(/^\uFEFF/, ''))
  const columns = header.map((name) => name.trim())
  const records = body
    .filter((row) => row.some((value) => value.trim() !== ''))
    .map((row) => Object.fromEntries(columns.map((name, i) => [name, (row[i] ?? '').trim()])))
  return { columns, records }
}
