// Checks a letter's evidence file as any ASiC-E, with pkijs, asn1js, yauzl and xmldom alone: that its first entry says
// what it is, that its manifests name every file with the right digest, that each CAdES signature over a manifest holds
// and binds its certificate, and that a time-stamp over the signature is inside.
//
//   node check-asice.mjs EVIDENCE SEAL_CA TSA_CA
//
// Prints JSON: what was found of each signature, and in `wrong` each thing that does not hold, by the entry's name.
import { createHash, webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { DOMParser } from '@xmldom/xmldom'
import * as asn1js from 'asn1js'
import * as pkijs from 'pkijs'
import yauzl from 'yauzl'

const ASIC = 'http://uri.etsi.org/02918/v1.2.1#'
const DSIG = 'http://www.w3.org/2000/09/xmldsig#'
const MEDIA_TYPE = 'application/vnd.etsi.asic-e+zip'
const MANIFEST = /^META-INF\/ASiCManifest[^/]*\.xml$/
const SHA256 = 'http://www.w3.org/2001/04/xmlenc#sha256'
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4'
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47' // RFC 5035
const TIME_STAMP_TOKEN = '1.2.840.113549.1.9.16.2.14' // RFC 3161, appendix A

pkijs.setEngine('node', new pkijs.CryptoEngine({ name: 'node', crypto: webcrypto }))

const [file, sealAuthority, stampAuthority] = process.argv.slice(2)
const wrong = []
const demand = (holds, entry, said) => holds || wrong.push(`${entry}: ${said}`)
const sha256 = (data) => createHash('sha256').update(data).digest()
const bytesOf = (octets) => new Uint8Array(octets.valueBlock.valueHexView)

const authority = (path) => {
  const text = readFileSync(path, 'utf8').replace(/-----[^-]+-----|\s/g, '')
  return pkijs.Certificate.fromBER(Buffer.from(text, 'base64'))
}

async function entriesOf(content) {
  const archive = await promisify(yauzl.fromBuffer)(content, { lazyEntries: true, strictFileNames: true })
  const open = promisify(archive.openReadStream.bind(archive))
  const entries = new Map()
  archive.readEntry()
  await new Promise((resolve, reject) => {
    archive.on('end', resolve)
    archive.on('error', reject)
    archive.on('entry', (entry) =>
      open(entry)
        .then(buffer)
        .then((data) => {
          demand(!entries.has(entry.fileName), entry.fileName, 'it stands there twice')
          entries.set(entry.fileName, { entry, data })
          archive.readEntry()
        })
        .catch(reject),
    )
  })
  return entries
}

// EN 319 162-1, annex A.1: the media type is found at a fixed place of the file, and not compressed.
function checkMediaType(content, entries) {
  const [[name, { entry, data }]] = entries
  const stored = entry.compressionMethod === 0 && entry.extraFieldLength === 0
  demand(name === 'mimetype' && entry.relativeOffsetOfLocalHeader === 0 && stored, 'mimetype', 'not the first, stored')
  demand(data.toString() === MEDIA_TYPE, 'mimetype', 'not of an ASiC-E')
  demand(content.subarray(30, 38 + MEDIA_TYPE.length).toString() === `mimetype${MEDIA_TYPE}`, 'mimetype', 'misplaced')
}

// What a manifest names, each held to its digest; the entry of its signature.
function readManifest(name, text, entries) {
  const problems = []
  const root = new DOMParser({ onError: (_, said) => problems.push(said) }).parseFromString(text, 'application/xml')
  const all = (within, space, tag) => Array.from(within.getElementsByTagNameNS(space, tag))
  demand(problems.length === 0, name, `not XML: ${problems[0]}`)
  const files = all(root, ASIC, 'DataObjectReference').map((reference) => {
    const named = decodeURIComponent(reference.getAttribute('URI'))
    const [method] = all(reference, DSIG, 'DigestMethod')
    const [value] = all(reference, DSIG, 'DigestValue')
    demand(method?.getAttribute('Algorithm') === SHA256, named, `${name} does not say its SHA-256`)
    const found = entries.get(named)
    demand(found, named, `it is missing, and ${name} names it`)
    demand(found && sha256(found.data).toString('base64') === value?.textContent, named, `not the digest of ${name}`)
    return named
  })
  const signatures = all(root, ASIC, 'SigReference').map((one) => decodeURIComponent(one.getAttribute('URI')))
  demand(files.length > 0 && signatures.length === 1, name, 'it takes files and one signature')
  return { files, signature: signatures[0] }
}

const attribute = (attributes, type) => attributes?.attributes.find((one) => one.type === type)?.values[0]

function signedDataOf(schema) {
  const info = new pkijs.ContentInfo({ schema })
  const signed = new pkijs.SignedData({ schema: info.content })
  if (signed.signerInfos.length !== 1) throw new Error('not one signer')
  return { signed, signer: signed.signerInfos[0] }
}

// RFC 5035, section 3: the signature says of which certificate it is.
function bindsCertificate(signer, certificate) {
  const value = attribute(signer.signedAttrs, SIGNING_CERTIFICATE_V2)
  if (!value) return false
  const [first] = value.valueBlock.value[0].valueBlock.value // ESSCertIDv2; SHA-256 is the default and left out
  const [hash] = first.valueBlock.value
  return hash instanceof asn1js.OctetString && sha256(Buffer.from(certificate.toSchema().toBER())).equals(bytesOf(hash))
}

async function verified(signed, data, trusted, checkDate) {
  const found = await signed.verify({
    signer: 0, data, trustedCerts: [trusted], checkChain: true, checkDate, extendedMode: true,
  })
  return found.signatureVerified && found.signerCertificateVerified ? found.signerCertificate : undefined
}

async function checkSignature(name, encoded, manifest, authorities) {
  const { signed, signer } = signedDataOf(pkijs.ContentInfo.fromBER(encoded).toSchema())
  demand(signed.encapContentInfo.eContent === undefined, name, 'it is not detached')
  const stated = attribute(signer.signedAttrs, MESSAGE_DIGEST)
  demand(stated && sha256(manifest).equals(bytesOf(stated)), name, 'it is of another manifest')
  const token = attribute(signer.unsignedAttrs, TIME_STAMP_TOKEN)
  if (!token) throw new Error('no time-stamp is inside')
  const stamp = signedDataOf(token).signed
  const { genTime } = pkijs.TSTInfo.fromBER(bytesOf(stamp.encapContentInfo.eContent))
  const signature = bytesOf(signer.signature)
  demand(await verified(stamp, signature, authorities.stamp, genTime), name, 'its time-stamp does not hold')
  const certificate = await verified(signed, new Uint8Array(manifest), authorities.seal, genTime)
  demand(certificate, name, 'its signature does not hold')
  demand(certificate && bindsCertificate(signer, certificate), name, 'it does not bind its certificate')
  return genTime.toISOString()
}

const content = readFileSync(file)
const authorities = { seal: authority(sealAuthority), stamp: authority(stampAuthority) }
const entries = await entriesOf(content)
checkMediaType(content, entries)
const signatures = []
const covered = new Set()
const manifests = [...entries.keys()].filter((one) => MANIFEST.test(one))
demand(manifests.length > 0, 'META-INF', 'nothing is signed')
for (const name of manifests) {
  const { data } = entries.get(name)
  const { files, signature } = readManifest(name, data.toString(), entries)
  files.forEach((one) => covered.add(one))
  try {
    const stamped = await checkSignature(signature, entries.get(signature).data, data, authorities)
    signatures.push({ signature, files, stamped })
  } catch (error) {
    wrong.push(`${signature}: ${error.message ?? error}`)
  }
}
for (const name of entries.keys()) {
  demand(name === 'mimetype' || name.startsWith('META-INF/') || covered.has(name), name, 'no manifest names it')
}
console.log(JSON.stringify({ signatures, wrong }))
