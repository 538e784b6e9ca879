/** Runes only, so that every component reads the same way. */
export default { compilerOptions: { runes: true } }
