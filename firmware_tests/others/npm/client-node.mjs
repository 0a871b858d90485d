// A signer of a chain with Clique seals on @ethereumjs/client: its JSON-RPC over HTTP and its peers, on loopback.
//
//   node client-node.mjs SETTINGS.json     prints {"port", "genesis", "id", "peerPort"} on one line, and serves until its
//                                          standard input ends; each line there, [{"id", "peerPort"}, ...], says who its peers are
//
// settings: chainId, signers (addresses), alloc (address -> wei), period (s), timestamp, key. The rules are London's.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Config, createRPCServer, createRPCServerListener, EthereumClient, Event, itsOwn, MethodConfig, RPCManager } from './client-mended.mjs';

const { createCommonFromGethGenesis, parseGethGenesisState } = await itsOwn('@ethereumjs/common');
const { bytesToHex, createAddressFromPrivateKey, hexToBytes } = await itsOwn('@ethereumjs/util');
const { MemoryLevel } = await itsOwn('memory-level');

const DIAL_MS = 250;
const RULES = ['homestead', 'eip150', 'eip155', 'eip158', 'byzantium', 'constantinople', 'petersburg', 'istanbul', 'berlin', 'london'];

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const quantity = (number) => `0x${BigInt(number).toString(16)}`;
const zeros = (bytes) => '00'.repeat(bytes);
const genesis = {
  config: {
    chainId: settings.chainId, clique: { period: settings.period, epoch: 30_000 },
    ...Object.fromEntries(RULES.map((name) => [`${name}Block`, 0])),
  },
  number: '0x0', difficulty: '0x1', gasLimit: quantity(30_000_000), timestamp: quantity(settings.timestamp), baseFeePerGas: quantity(1_000_000_000),
  nonce: '0x0', coinbase: `0x${zeros(20)}`, mixHash: `0x${zeros(32)}`,
  extraData: `0x${zeros(32)}${settings.signers.map((address) => address.slice(2)).join('')}${zeros(65)}`,
  alloc: Object.fromEntries(Object.entries(settings.alloc).map(([address, wei]) => [address, { balance: quantity(wei) }])),
};
const common = createCommonFromGethGenesis(genesis, { chain: 'clique', hardfork: 'london' });
const key = hexToBytes(settings.key);
const config = new Config({
  common, accounts: [[createAddressFromPrivateKey(key), key]], mine: true, saveReceipts: true,
  bootnodes: [], discDns: false, discV4: false, extIP: '127.0.0.1', port: 0,
});
const client = await EthereumClient.create({ config, genesisState: parseGethGenesisState(genesis), metaDB: new MemoryLevel() });
config.chainCommon.setForkHashes(client.chain.blockchain.genesisBlock.hash()); // without it no peer is shaken hands with
await client.open();
await client.start();
// These two restart the server where nobody is there for a minute, and ask peers for what they tell anyway.
clearInterval(client.service.pool._statusCheckInterval);
clearInterval(client.service.pool._peerBestHeaderUpdateInterval);

const { rlpx } = config.server;
const own = bytesToHex(rlpx.id);
let peers = [];
/** Of two nodes the one with the higher id connects, so that they do so once. */
function dial() {
  for (const peer of peers) {
    if (peer.id < own) rlpx.connect({ id: hexToBytes(peer.id), address: '127.0.0.1', tcpPort: peer.peerPort }).catch(() => {});
  }
}
setInterval(dial, DIAL_MS);
createInterface({ input: process.stdin })
  .on('line', (line) => {
    peers = JSON.parse(line);
    for (const other of client.service.pool.peers) if (!peers.some(({ id }) => id === `0x${other.id}`)) rlpx.disconnect(hexToBytes(`0x${other.id}`));
  })
  .on('close', () => process.exit(0));
// Who comes back hears of the head at once, and not with the next block, which may have to wait for it.
config.events.on(Event.POOL_PEER_ADDED, (peer) => {
  const head = client.chain.blocks.latest;
  if (!head.isGenesis()) void client.service.synchronizer.sendNewBlock(head, [peer]);
});

const { server } = createRPCServer(new RPCManager(client, config), { methodConfig: MethodConfig.WithoutEngine, rpcDebug: '', rpcDebugVerbose: '' });
const http = createRPCServerListener({ server, RPCCors: '' });
http.listen(0, '127.0.0.1', () => {
  const { port: peerPort } = rlpx._server.address();
  console.log(JSON.stringify({ port: http.address().port, genesis: bytesToHex(client.chain.genesis.hash()), id: own, peerPort }));
});
