import { expect, it } from 'vitest'
import { defaultBackend, parseEngine } from './engine-name.ts'

// MLX on processors was priced with CUDA's driver, which refused pools that fit.
it('takes MLX to run on Metal, on CUDA, or on the processor where there is no GPU', () => {
  const mlx = parseEngine('mlx')
  expect(defaultBackend(mlx, 'Apple', 'gpu')).toBe('mlx')
  expect(defaultBackend(mlx, 'NVIDIA', 'gpu')).toBe('cuda')
  expect(defaultBackend(mlx, 'other', 'cpu')).toBe('cpu')
})
