// Receipts of Hyperledger Fabric, judged with Hyperledger's own definitions and Node's cryptography alone.
//
//   node check-fabric-receipts.mjs FILE
//
// FILE: JSON {"rules": a profile's rules, "cases": [{"block": base64, "place": N, "commitment": hex}, ...]}.
// Prints a JSON list: "proven", "attested", or the reason of a refusal, one for each case.

import { X509Certificate, createHash, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import protos from '@hyperledger/fabric-protos';

const { common, msp, peer } = protos;
const { rules, cases } = JSON.parse(readFileSync(process.argv[2]));
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const same = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)) === 0;
class Refused extends Error {}
const want = (condition, reason) => {
  if (!condition) throw new Refused(reason);
};

const der = (tag, content) => {
  const size = content.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
};
const headerBytes = (header) => {
  let number = header.getNumber().toString(16);
  number = Buffer.from(number.length % 2 ? `0${number}` : number, 'hex');
  if (number[0] & 0x80) number = Buffer.concat([Buffer.from([0]), number]);
  const previous = Buffer.from(header.getPreviousHash_asU8());
  return der(0x30, Buffer.concat([der(2, number), der(4, previous), der(4, Buffer.from(header.getDataHash_asU8()))]));
};

// Which organisation a certificate is of, or null.
const authorities = new Map(
  rules.msps.map((one) => [
    one.name,
    {
      ...one,
      issuers: [...one.roots, ...one.intermediates].map((der) => new X509Certificate(Buffer.from(der, 'base64'))),
      roots: one.roots.map((der) => new X509Certificate(Buffer.from(der, 'base64'))),
    },
  ]),
);
const leads = (certificate, known, left) =>
  left > 0 &&
  known.issuers.some(
    (issuer) =>
      issuer.ca &&
      certificate.checkIssued(issuer) &&
      certificate.verify(issuer.publicKey) &&
      (known.roots.some((root) => root.raw.equals(issuer.raw)) || leads(issuer, known, left - 1)),
  );
const member = (name, pem, unit) => {
  const known = authorities.get(name);
  if (!known) return null;
  const certificate = new X509Certificate(pem);
  if (!leads(certificate, known, 3)) return null;
  if (known.revoked.includes(sha256(certificate.raw).toString('hex'))) return null;
  if (unit && known.node_ous && !certificate.subject.split('\n').includes(`OU=${unit}`)) return null;
  return { name, certificate };
};
const identity = (serialized, unit) => {
  const read = msp.SerializedIdentity.deserializeBinary(serialized);
  return member(read.getMspid(), Buffer.from(read.getIdBytes_asU8()), unit);
};
const holds = (who, message, signature) => verify('sha256', message, who.certificate.publicKey, signature);

const seals = (block) => {
  const metadata = common.Metadata.deserializeBinary(block.getMetadata()?.getMetadataList_asU8()[0] ?? new Uint8Array());
  const found = new Set();
  let others = 0;
  for (const one of metadata.getSignaturesList()) {
    const named = one.getSignatureHeader_asU8();
    const numbered = one.getIdentifierHeader_asU8();
    let who = null;
    if (named.length && !rules.orderers.consenters.length) {
      who = identity(common.SignatureHeader.deserializeBinary(named).getCreator_asU8(), 'orderer');
    } else if (!named.length) {
      const id = common.IdentifierHeader.deserializeBinary(numbered).getIdentifier();
      const consenter = rules.orderers.consenters.find((known) => known.id === id);
      who = consenter && member(consenter.msp, Buffer.from(consenter.certificate, 'base64'), 'orderer');
    }
    const signed = Buffer.concat([metadata.getValue_asU8(), named, numbered, headerBytes(block.getHeader())]);
    if (who && rules.orderers.msps.includes(who.name) && holds(who, signed, one.getSignature_asU8())) {
      found.add(who.certificate.fingerprint256);
    } else others += 1;
  }
  want(found.size >= rules.orderers.count, others ? 'foreign_seal' : 'too_few_seals');
};

const judge = ({ block: encoded, place, commitment }) => {
  const block = common.Block.deserializeBinary(Buffer.from(encoded, 'base64'));
  const data = block.getData()?.getDataList_asU8() ?? [];
  want(block.getHeader() && same(block.getHeader().getDataHash_asU8(), sha256(...data)), 'data_hash');
  want(place < data.length, 'no_transaction');
  const envelope = common.Envelope.deserializeBinary(data[place]);
  const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
  const header = payload.getHeader();
  const channel = common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8());
  want(channel.getType() === common.HeaderType.ENDORSER_TRANSACTION, 'no_transaction');
  const signer = common.SignatureHeader.deserializeBinary(header.getSignatureHeader_asU8());
  const [transaction] = peer.Transaction.deserializeBinary(payload.getData_asU8()).getActionsList();
  const action = peer.ChaincodeActionPayload.deserializeBinary(transaction.getPayload_asU8());
  const proposed = action.getChaincodeProposalPayload_asU8();
  const spec = peer.ChaincodeInvocationSpec.deserializeBinary(
    peer.ChaincodeProposalPayload.deserializeBinary(proposed).getInput_asU8(),
  ).getChaincodeSpec();
  const [name, ...given] = spec.getInput().getArgsList_asU8().map((one) => Buffer.from(one).toString());
  want(channel.getChannelId() === rules.channel, 'other_channel');
  want(spec.getChaincodeId().getName() === rules.chaincode, 'other_chaincode');
  want(name === rules.function, 'other_function');
  want(given[rules.argument] === commitment, 'other_commitment');
  const id = sha256(signer.getNonce_asU8(), signer.getCreator_asU8()).toString('hex');
  want(channel.getTxId() === id, 'wrong_transaction_id');
  const answer = action.getAction().getProposalResponsePayload_asU8();
  const read = peer.ProposalResponsePayload.deserializeBinary(answer);
  const hashed = sha256(header.getChannelHeader_asU8(), header.getSignatureHeader_asU8(), proposed);
  want(same(read.getProposalHash_asU8(), hashed), 'mixed_up');
  const result = peer.ChaincodeAction.deserializeBinary(read.getExtension_asU8());
  want(result.getChaincodeId().getName() === rules.chaincode, 'other_chaincode');
  const status = result.getResponse().getStatus();
  want(status >= 200 && status < 400, 'refused_by_chaincode');
  const creator = identity(signer.getCreator_asU8());
  want(creator, 'foreign_creator');
  want(holds(creator, envelope.getPayload_asU8(), envelope.getSignature_asU8()), 'creator_signature');
  const endorsing = new Set();
  for (const one of action.getAction().getEndorsementsList()) {
    const who = identity(one.getEndorser_asU8(), 'peer');
    const signed = Buffer.concat([answer, one.getEndorser_asU8()]);
    if (who && rules.endorsement.msps.includes(who.name) && holds(who, signed, one.getSignature_asU8())) {
      endorsing.add(who.name);
    }
  }
  want(endorsing.size >= rules.endorsement.count, 'too_few_endorsements');
  if (rules.orderers) seals(block);
  want((block.getMetadata()?.getMetadataList_asU8()[2] ?? [])[place] === 0, 'failed_transaction');
  return rules.orderers ? 'proven' : 'attested';
};

const verdict = (one) => {
  try {
    return judge(one);
  } catch (error) {
    return error instanceof Refused ? error.message : 'malformed';
  }
};
console.log(JSON.stringify(cases.map(verdict)));
