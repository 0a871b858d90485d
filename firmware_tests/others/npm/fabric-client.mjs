// Hyperledger's own client library submits a transaction through a Gateway, waits for its commit, and reads its block.
//
//   node fabric-client.mjs ADDRESS TLS-CA CERTIFICATE KEY MSP CHANNEL CHAINCODE FUNCTION ARGUMENT...
//
// Prints JSON: the proposal and the envelope that the library made, what became of it, and the block, in base64.

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import grpc from '@grpc/grpc-js';
import { connect, signers } from '@hyperledger/fabric-gateway';
import protos from '@hyperledger/fabric-protos';

const [address, ca, certificate, key, mspId, channel, chaincode, name, ...given] = process.argv.slice(2);
const client = new grpc.Client(address, grpc.credentials.createSsl(readFileSync(ca)), {
  'grpc.ssl_target_name_override': 'peer0.org1',
});
const deadline = () => ({ deadline: Date.now() + 20_000 });
const gateway = connect({
  client,
  identity: { mspId, credentials: readFileSync(certificate) },
  signer: signers.newPrivateKeySigner(createPrivateKey(readFileSync(key))),
  endorseOptions: deadline,
  submitOptions: deadline,
  commitStatusOptions: deadline,
  evaluateOptions: deadline,
});
const base64 = (bytes) => Buffer.from(bytes).toString('base64');

try {
  const network = gateway.getNetwork(channel);
  const proposal = network.getContract(chaincode).newProposal(name, { arguments: given });
  const transaction = await proposal.endorse();
  const commit = await transaction.submit();
  const status = await commit.getStatus();
  const block = await network.getContract('qscc').evaluate('GetBlockByTxID', {
    arguments: [channel, proposal.getTransactionId()],
  });
  const read = protos.common.Block.deserializeBinary(block);
  console.log(
    JSON.stringify({
      transaction: proposal.getTransactionId(),
      proposal: base64(proposal.getBytes()),
      prepared: base64(transaction.getBytes()),
      successful: status.successful,
      code: status.code,
      number: Number(status.blockNumber),
      block: base64(block),
      transactions: read.getData().getDataList().length,
      dataHash: base64(read.getHeader().getDataHash_asU8()),
    }),
  );
} finally {
  gateway.close();
  client.close();
}
