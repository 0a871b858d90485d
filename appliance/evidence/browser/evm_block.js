// Blocks of EVM chains: their headers (yellow paper, section 4.4), what a hash covers, and who sealed them: one signer under
// Clique (EIP-225), those who committed under IBFT 2.0 and QBFT.

const LARGEST_HEADER = 65536;
const MOST_HEADER_FIELDS = 32;
const HEADER_ITEMS = 2048;
const EXTRA_DATA = 12;
const HEADER_SIZES = [[0, 32], [1, 32], [2, 20], [3, 32], [4, 32], [5, 32], [6, 256], [13, 32], [14, 8]];
const SEAL_BYTES = 65;
const VANITY_BYTES = 32;
const MOST_VALIDATORS = 255;

function readHeader(encoded) {
  if (encoded.length > LARGEST_HEADER) throw new MalformedChainData();
  const fields = readRlpList(encoded, MOST_HEADER_FIELDS + 1);
  if (fields.length < 15) throw new MalformedChainData();
  for (const [place, size] of HEADER_SIZES) asBytes(fields[place], size);
  if (fields.slice(15).some((one) => asBytes(one).length > 32)) throw new MalformedChainData();
  asInteger(fields[7]);
  for (const place of [9, 10]) asInteger(fields[place], 8);
  return {
    encoded, fields, parent: fields[0], transactionsRoot: fields[4], receiptsRoot: fields[5],
    number: asInteger(fields[8], 8), timestamp: asInteger(fields[11], 8), extraData: asBytes(fields[EXTRA_DATA]),
  };
}

// The header with other extra data: what seals and some hashes are made over.
const withExtraData = ({ fields }, extraData) => writeRlp(fields.map((one, place) => (place === EXTRA_DATA ? extraData : one)));

// Vanity, validators, vote, round and seals, of IBFT 2.0 and QBFT.
function validatorsData({ extraData }) {
  const fields = readRlpList(extraData, HEADER_ITEMS);
  if (fields.length !== 5) throw new MalformedChainData();
  return fields;
}

function blockHash(header, rule) {
  if (rule === "ethereum" || rule === "clique") return keccak256(header.encoded);
  if (rule === "stated") throw new MalformedChainData();
  const kept = validatorsData(header).slice(0, 3);
  return keccak256(withExtraData(header, writeRlp(rule === "qbft" ? [...kept, new Uint8Array(), []] : kept)));
}

const addresses = (bytes) => Array.from({ length: bytes.length / 20 }, (_, at) => hex(bytes.subarray(20 * at, 20 * at + 20)));

function sealer(hashed, seal) {
  const found = recoverAddress(hashed, toNumber(seal.subarray(0, 32)), toNumber(seal.subarray(32, 64)), BigInt(seal[64]));
  if (found === null) throw new MalformedChainData();
  return hex(found);
}

// The signers that the header of an epoch names; of other headers none.
function cliqueNamed({ extraData }) {
  const named = extraData.subarray(VANITY_BYTES, Math.max(VANITY_BYTES, extraData.length - SEAL_BYTES));
  if (named.length % 20) throw new MalformedChainData();
  return new Set(addresses(named));
}

function cliqueSigner(header) {
  const cut = header.extraData.length - SEAL_BYTES;
  if (cut < VANITY_BYTES) throw new MalformedChainData();
  return sealer(keccak256(withExtraData(header, header.extraData.subarray(0, cut))), header.extraData.subarray(cut));
}

function validatorsNamed(header) {
  return new Set(asList(validatorsData(header)[1]).map((one) => hex(asBytes(one, 20))));
}

// Whose keys made the committed seals.
async function committedBy(header, rule) {
  const fields = validatorsData(header);
  const hashed = keccak256(withExtraData(header, writeRlp(rule === "qbft" ? [...fields.slice(0, 4), []] : fields.slice(0, 4))));
  const seals = asList(fields[4]);
  if (seals.length > MOST_VALIDATORS) throw new MalformedChainData();
  const found = new Set();
  for (const seal of seals) {
    found.add(sealer(hashed, asBytes(seal, SEAL_BYTES)));
    await rest();
  }
  return found;
}
