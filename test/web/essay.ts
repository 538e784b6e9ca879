/** An answer with all the markdown that the page draws. */
export const essay = `Memory bandwidth sets the pace of **decoding**: every token reads all active weights once.

## A rule of thumb

| Chip | Bandwidth | 8 B at Q4 |
|:--|--:|--:|
| M4 Pro | 273 GB/s | about 45 tok/s |
| M4 Max | 546 GB/s | about 85 tok/s |

1. Divide the bandwidth by the size of the weights.
2. Take *two thirds* of that:
   - caches and scheduling cost the rest
   - \`llama-bench\` shows your own figure

\`\`\`python
def decode_tok_s(bandwidth_gb_s: float, weights_gb: float) -> float:
    return 0.66 * bandwidth_gb_s / weights_gb
\`\`\`

> Prefill is another matter: it is bound by compute.`
