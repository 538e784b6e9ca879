/**
 * What a person states must be known to the last letter. The parsers of quants, links and sizes are lenient, because
 * published tables spell them in many ways; a typing error must not pass for the nearest thing they can make of it.
 */
const quantWords = [
  /^(UD-)?(IQ\d_[A-Z]+|TQ\d_0|Q\d(_?K)?(_(XL|XS|S|M|L))?|Q\d_[01]|Q[1-8]0|PQ2_0|PTQ1_0)( EXPERTS)?$/,
  /^(MLX[ _-]?)?\d[ -]?BIT([ _-]?GS?\d+)?$/,
  /^(MXFP4|MXFP8|NVFP4|AWQ|GPTQ|W4A16|INT4|FP8|E4M3|BF16|F16|FP16|F32|FP32|DEFAULT)( EXPERTS)?$/,
]

export const isStatedQuant = (text: string): boolean =>
  quantWords.some((words) => words.test(text.trim().toUpperCase()))

const linkWord =
  /^(tb|thunderbolt|wifi|wi|fi|wlan|eth|ethernet|lan|network|loopback|local|localhost|same|box|internet|wan|rdma|roce|rocev2|iwarp|jaccl|infiniband|ib|tcp|ip|ring|mesh|over|cable|switch|nvlink|pcie|usb|usb4|ultrafusion|v?\d+(\.\d+)?(e|x|g|m|be|ax|ac|ghz|gb|gbe|gbit|gbits|gbps|gb\/s|mbit|mbps)?)$/

/** Every word of it is one that links are described in ("tb5-rdma", "50GbE TCP", "Wi-Fi 6"). */
export function isStatedLink(text: string): boolean {
  const words = text
    .toLowerCase()
    .replace(/(tb|thunderbolt|wifi|usb|pcie|nvlink)(\d)/g, '$1 $2')
    .split(/[\s,()_-]+/)
    .filter(Boolean)
  return words.length > 0 && words.every((word) => linkWord.test(word))
}

/** False for a size that is written as one and is none, such as `dense:-3b` or `moe:0b-a1b`. */
export function isStatedSize(text: string): boolean {
  if (!/^(dense|moe):/i.test(text)) return true
  const size = /^(?:dense:(\d+(?:\.\d+)?)[mbt]|moe:(\d+(?:\.\d+)?)[mbt]-a(\d+(?:\.\d+)?)[mb])$/i.exec(text)
  const numbers = (size ?? []).slice(1).filter((number) => number !== undefined)
  return numbers.length > 0 && numbers.every((number) => Number(number) > 0)
}
