/** Bodies of joining: tokens, the device flow of RFC 8628, and what the owner does with nodes. */
import { z } from 'zod'

const name = z.string().max(200)

export const tokenRequest = z.object({
  /** Seconds the token may wait to be used. */
  ttlS: z
    .number()
    .int()
    .min(60)
    .max(7 * 86_400)
    .optional(),
})
/** `expiresAt` is ISO 8601, by the hub's clock. */
export const tokenResponse = z.object({ token: z.string(), expiresAt: z.string() })

export const nodeRequest = z.object({ node: z.string().min(1).max(200) })
export const nodeResponse = z.object({ id: z.string(), name: z.string() })

export const auditResponse = z.object({
  entries: z.array(
    z.object({
      timeMs: z.number(),
      action: z.string(),
      node: z.string().nullable(),
      actor: z.string(),
      detail: z.string(),
    }),
  ),
})

export const joinRequest = z.object({ token: z.string().min(1).max(200), name })

/** What a node is told when it was admitted; the credential is told this once. */
export const admittedResponse = z.object({
  nodeId: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/),
  name,
  credential: z.string().min(20).max(200),
})
export type AdmittedResponse = z.infer<typeof admittedResponse>

/** A node that will not come back. */
export const leaveRequest = z.object({ nodeId: z.string().max(64), credential: z.string().max(200) })

/** RFC 8628, section 3.1; `client_id` carries the machine's name. */
export const deviceCodeRequest = z.object({ client_id: name })
/** RFC 8628, section 3.2. */
export const deviceCodeResponse = z.object({
  device_code: z.string().min(1).max(200),
  user_code: z.string().min(1).max(40),
  verification_uri: z.url().max(2000),
  verification_uri_complete: z.url().max(2000).optional(),
  /** Seconds from now, so that no two clocks are compared. */
  expires_in: z.number().positive().max(86_400),
  /** Seconds between two polls. */
  interval: z.number().positive().max(600).optional(),
})
export type DeviceCodeResponse = z.infer<typeof deviceCodeResponse>

/** RFC 8628, section 3.4. */
export const deviceTokenRequest = z.object({
  grant_type: z.literal('urn:ietf:params:oauth:grant-type:device_code'),
  device_code: z.string().min(1).max(200),
})

/** RFC 8628, section 3.5. */
export const deviceErrors = ['authorization_pending', 'slow_down', 'access_denied', 'expired_token'] as const
export type DeviceError = (typeof deviceErrors)[number]
