// Builds the contracts of appliance/anchors/evm/contracts with solc, for chains from London on:
//
//   node build-contracts.mjs DIRECTORY
//
// Prints JSON: the compiler's version, and of each contract its ABI and the bytecode that creates it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import solc from 'solc'

const [directory] = process.argv.slice(2)
const names = readdirSync(directory).filter((name) => name.endsWith('.sol')).sort()
const settings = {
  evmVersion: 'london',
  optimizer: { enabled: true, runs: 200 },
  // Without the digest of the metadata the bytecode depends on the code alone, not on comments and file names.
  metadata: { bytecodeHash: 'none' },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
}
const sources = Object.fromEntries(names.map((name) => [name, { content: readFileSync(join(directory, name), 'utf8') }]))
const output = JSON.parse(solc.compile(JSON.stringify({ language: 'Solidity', sources, settings })))
if (output.errors) throw new Error(output.errors.map((error) => error.formattedMessage).join('\n'))

const contracts = {}
for (const name of names)
  for (const [contract, { abi, evm }] of Object.entries(output.contracts[name]))
    contracts[contract] = { abi, bytecode: evm.bytecode.object }
console.log(JSON.stringify({ compiler: solc.version(), contracts, evm_version: settings.evmVersion }))
