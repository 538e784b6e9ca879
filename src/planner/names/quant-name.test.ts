import { describe, expect, test } from 'vitest'
import { betterQuant, meetsFloor, readFloor, readQuant, splitQuant } from './quant-name.ts'

const meets = (quant: string, floor: string) => meetsFloor(readQuant(quant), readFloor(floor)!)

describe('the quant in a name', () => {
  test('is worth its nominal bits, whatever the format', () => {
    for (const four of [
      'Q4_0',
      'Q4_K_M',
      'IQ4_XS',
      'UD-Q4_K_XL',
      '4bit',
      'AWQ',
      'GPTQ',
      'MXFP4',
      'NVFP4',
      'W4A16',
      'INT4',
    ]) {
      expect([four, readQuant(four)?.bits]).toEqual([four, 4])
    }
    for (const eight of ['Q8_0', '8bit', 'FP8', 'W8A8', 'GPTQ-Int8', 'INT8', 'MXFP8']) {
      expect([eight, readQuant(eight)?.bits]).toEqual([eight, 8])
    }
    expect(
      ['IQ1_S', 'Q2_K', 'Q3_K_L', 'Q5_K_S', 'Q6_K', 'BF16', 'F32'].map((name) => readQuant(name)?.bits),
    ).toEqual([1, 2, 3, 5, 6, 16, 32])
  })

  test('orders by nominal bits first and by bits per weight among equals', () => {
    const names = ['Q3_K_L', 'Q8_0', 'IQ4_XS', 'BF16', 'Q4_K_S', 'Q6_K', 'Q4_K_M', 'Q5_K_M']
    const sorted = names.map((name) => readQuant(name)).sort(betterQuant)
    expect(sorted.map((quant) => quant?.label)).toEqual([
      'BF16', 'Q8_0', 'Q6_K', 'Q5_K_M', 'Q4_K_M', 'Q4_K_S', 'IQ4_XS', 'Q3_K_L',
    ]) // biome-ignore format: one order
    expect(betterQuant(null, readQuant('Q2_K'))).toBeGreaterThan(0)
  })

  test('meets "at least Q4" with any Q4 or better, and "at least Q4_K_M" by bits per weight', () => {
    for (const enough of ['Q4_0', 'IQ4_XS', '4bit', 'AWQ', 'Q5_K_M', 'FP8', 'BF16'])
      expect(meets(enough, 'q4')).toBe(true)
    for (const less of ['Q3_K_L', 'IQ3_M', '3bit', 'Q2_K']) expect(meets(less, 'q4')).toBe(false)
    expect(meets('Q4_K_M', 'q4_k_m')).toBe(true)
    expect(meets('Q4_K_S', 'q4_k_m')).toBe(false)
    expect(meets('Q5_K_S', 'q4_k_m')).toBe(true)
    expect(meets('Q8_0', 'fp8')).toBe(true)
    expect(meets('Q6_K', '8bit')).toBe(false)
    expect(meetsFloor(null, readFloor('q2')!)).toBe(false)
  })

  test('is not seen in sizes, versions and contexts', () => {
    for (const name of [
      'Qwen2.5-7B-Instruct-1M',
      'Llama-3.1-8B',
      'Phi-3-mini-128k',
      'Qwen3-30B-A3B',
      'QwQ-32B',
      'gpt-2',
    ]) {
      expect([name, splitQuant(name).quant]).toEqual([name, null])
    }
    expect(readQuant('instruct')).toBeNull()
    expect(readFloor('best')).toBeNull()
  })
})
