// A pipe is written synchronously on Linux, so that no line is held back.
export function emit (event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

export function fail (err) {
  emit('error', { message: String(err?.message ?? err) })
}
