/** What both ends of a probe know. */
export const probeIdentity = 'holon/probe'
export const ticketBytes = 32
export const pingBytes = 16
/** Enough for a 95th percentile that means something; on a slow radio link they take two seconds. */
export const pings = 60
