"""Headers of public networks and of published tests: their hashes, and who sealed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.headers import MAXIMUM_HEADER_BYTES, HeaderHash, read_header
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.seals import clique_signer, clique_signers_named, committed_by, validators_named
from appliance.anchors.evm.secp256k1 import address_of
from appliance.anchors.evm.trie import EMPTY_ROOT

NO_UNCLES = "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
NOTHING = EMPTY_ROOT.hex()
BFT_MIX = "63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"


def header(
    *,
    parent: str,
    number: int,
    timestamp: int,
    extra: str,
    miner: str = "00" * 20,
    state: str = NOTHING,
    transactions: str = NOTHING,
    receipts: str = NOTHING,
    bloom: bytes = bytes(256),
    difficulty: int = 1,
    gas_limit: int = 0x1FFFFFFFFFFFFF,
    gas_used: int = 0,
    mix: str = "00" * 32,
    nonce: str = "00" * 8,
    later: Sequence[bytes] = (),
) -> bytes:
    """A header out of its fields, in their order."""
    hashes = map(bytes.fromhex, (parent, NO_UNCLES, miner, state, transactions, receipts))
    numbers = map(rlp.integer, (difficulty, number, gas_limit, gas_used, timestamp))
    return rlp.encode([*hashes, bloom, *numbers, *map(bytes.fromhex, (extra, mix, nonce)), *later])


def bloom(bits: Mapping[int, int]) -> bytes:
    return bytes(bits.get(at, 0) for at in range(256))


MAINNET_1 = header(
    parent="d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    miner="05a56e2d52c817161883f50c441c3228cfe54d9f",
    state="d67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
    difficulty=0x3FF800000,
    number=1,
    gas_limit=5000,
    timestamp=0x55BA4224,
    extra="476574682f76312e302e302f6c696e75782f676f312e342e32",
    mix="969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59",
    nonce="539bd4979fef1ec4",
)
GOERLI_5102442 = header(
    parent="b8a6ba8f2d6c13be07a0580add9d9ccc8e4301bd1244e3b0da53d025ce926370",
    state="1ce2cb2fc266096dac2d41eda3e74220f693b1f05f963a1fee8e5230cbb9690e",
    transactions="43fd7e89d018b7034792877bfee31aa4aeeeed66a4a770d617a470267a626b7c",
    receipts="1e8cf75ab79f5c5bc40035d507a6d26e287fbc0530959afc0edcd84434131288",
    bloom=bloom({46: 0x20, 96: 0x80, 108: 0x40, 126: 0x02, 180: 0x20, 188: 0x08}),
    number=5_102_442,
    gas_limit=0x1C9C380,
    gas_used=0xFE1A,
    timestamp=0x60E652D7,
    extra="696e667572612d696f0000000000000000000000000000000000000000000000"
    "1da4547ff7dfdfe4c70a52e1f40d60d0259803e733aba7f5024ec05426501772"
    "5febb042946985654f62c284c010b56a7fb2cd43d0c8968dbd081a1d0db45d4b00",
    later=[rlp.integer(7)],
)
SEPOLIA_8704005 = header(
    parent="bb13e88e3198ac1c170de83a04ba90a9455692f47dc96bb91add7ab86b3085f5",
    miner="c6e2459991bfe27cca6d86722f35da23a1e4cb97",
    state="e93cafa1025033b2824e61381eafb8f769d7965bf1787349afbecde0c722fe98",
    transactions="5345cf8b3d49524ed4c69a816cbc99a507a29b93a655689c23dac5c36749c8cf",
    receipts="7ed4bb2645654344c5beb2109f36f2c71db272d4d6f5c0f42b4d6ebcbdc18383",
    bloom=bytes.fromhex(
        "003502114841443e0019100fbe00508c083a038a28425840840f0611cc9191a148223800404338c044a030e10904248c"
        "660025810013c3c844105e94e22d262002410ba81479b2d068ac530f41a9a635ec018140c108f041845080209887980100"
        "c9110102428840030290bc015c8924044192d004386081202000388980a015130822700320310f215a888e97d0094340202"
        "dc54a09b10e0429a140144280e062ad318a54488ed80002160252880162604e022738048850d3d001490824c24fc1a54973"
        "b1800e0904110017af1b64f1197a805c00084112968321062c022188701010252011304084422100f40c0000b5010038da4"
        "a2060201269009e30c2e0"
    ),
    difficulty=0,
    number=0x84D405,
    gas_limit=0x1C9C380,
    gas_used=0xE8784A,
    timestamp=0x641C71EC,
    extra="d883010b04846765746888676f312e32302e32856c696e7578",
    mix="8ad8211cb54508538509243eef6e3e824bc09ad8696cd113ee12ca3008810793",
    later=[
        rlp.integer(0x127D82BA5B),
        bytes.fromhex("b3dfca16034b4c90b8d83359b4549a46dd931bce765dd204eb230c5339a933e4"),
    ],
)
# Besu's own genesis of a network of four under QBFT (its pull request 6285).
QBFT_GENESIS_VALIDATORS = [
    "5c9437de876531c73c9618d13872f7508869f253",
    "74474cf92e9b74df7a2ce2c4fbc0830c773b7a76",
    "62f241db855d439cc79f5d2bd4a58eeb9c5d01cd",
    "6d544f03911b74425dd4112e95f93b82ac6302f1",
    "77fd5cb2aea0b91e7e4faf7625bf9dbaee39ee47",
]
QBFT_GENESIS = header(
    parent="00" * 32,
    number=0,
    timestamp=0x58EE40BA,
    extra="f88fa0" + "00" * 32 + "f869" + "".join("94" + each for each in QBFT_GENESIS_VALIDATORS) + "c080c0",
    mix=BFT_MIX,
)
# A block of a network under QBFT that Besu made (of the tests of github.com/datachainlab/besu-qbft-elc).
QBFT_VALIDATORS = [
    "647bfdd19655e51e69d35454ff3a92f8828e6302",
    "a5c8416b9d13417b45b45ada76408f39d1e504ef",
    "b92e91f4dcc9d28503be521afa2a8fbf3c1acf60",
    "ee3353e587cfa91625a1adaef308a726de3803d3",
]
QBFT_7528 = header(
    parent="0af93e70b1c6d3974a88a42eb70bb61adbd523bfac0c83027ba4637c52746a0f",
    miner=QBFT_VALIDATORS[3],
    state="166ed98eea93ab2b6f6b1a425526994adc2d675bf9a0d77d600ed1e02d8f77df",
    number=7528,
    gas_limit=0x47B760,
    timestamp=1_715_495_307,
    extra="f90144a0"
    + "00" * 32
    + "f854"
    + "".join("94" + each for each in QBFT_VALIDATORS)
    + "c001f8c9"
    + "b841bc7633fd65570f610a595086e9a34e5bf6aacfb67b8f8cd01852e6b285147f04"
    "6a50577b49378b86723ac9b456ef59ef7ab57cda7139d807f10f58e8cb10c67600"
    "b841ad1defc2b0b4a48158cff24778bb5ba4d9f373c171022ab0a42e37bdb0d40257"
    "18434d303a8d94df56ef9ad5219be9f27b2f67179a7fb82d3323dde29546f9f701"
    "b841e233d3670dd97c715f72b440eeb1ccb1e22c8c23f6ab470c46c99c2d0ee6509f"
    "0341a42e0e4569782557e93c3815e8ca4294043595f69a90f73f135de8ecf41e00",
    mix=BFT_MIX,
)
# Besu's example of IBFT 2.0 (IbftBlockHashingTest); its hash as in BftBlockHeaderHashTests of
# github.com/ConsenSys/qbft-tests, from when QBFT had the extra data of IBFT 2.0. The keys of the committers are 1 to 4.
IBFT2_EXAMPLE = header(
    parent="a7762d3307dbf2ae6a1ae1b09cf61c7603722b2379731b6b90409cdb8c8288a0",
    state="ca07595b82f908822971b7e848398e3395e59ee52565c7ef3603df1a1fa7bc80",
    number=1,
    gas_limit=4_704_588,
    timestamp=1_530_674_616,
    extra="f90178a0"
    + bytes(range(32)).hex()
    + f"ea94{1:040x}94{2:040x}d794{3:040x}81ff8400fedcbaf9010c"
    + "b8412d98a30d2844aa05b4fcf3abcd333e195d4ad365726a7b9a5bc19744dcec0ad4"
    "2d129ad2890b86c32a969a9b511d8c1c846f7eb694455bb29b7365ab260a188100"
    "b8416e65e1097c802f12fe12048871f228fc394fb005cbf5c55225adbff7e82c94d3"
    "52fc83967effa3a777a9d50e677108b732258c7ef6e1a3e8fc34919b90e0f34e00"
    "b841b8462060df24936c7da7413fbf8ac706775d06ba052831075fd2059458ca91e9"
    "71f35a7a90ec5225328fe25d6dec51de3a2d71e81a581ceb98acdafd5bcd12f801"
    "b841be1cb71a2525013ae8ac676505597229265960b4d34654dc88249d1bc7e07a32"
    "4f44b16542adad19bddade1785ac9687b656cbf64685a2e6e6b4f04d9aad23cd00",
    mix=BFT_MIX,
)

HASHES = {
    "Ethereum's block 1, Frontier": (
        MAINNET_1,
        HeaderHash.ETHEREUM,
        "88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6",
    ),
    "Goerli, Clique with London": (
        GOERLI_5102442,
        HeaderHash.CLIQUE,
        "ec0b5cf01a11c514e6fecb2577adf82594083a79eda699eeaf7d11ebef226063",
    ),
    "Sepolia, Shanghai": (
        SEPOLIA_8704005,
        HeaderHash.ETHEREUM,
        "afc07632bae1876af2bdc06ffe961650a3674ac7601a947958d14cf2752c5942",
    ),
    "Besu, QBFT": (
        QBFT_GENESIS,
        HeaderHash.QBFT,
        "74f92c171677a9f8b1eac53fc4f2c2e0d6bbc7a7b9b259fd0067f7b573951e16",
    ),
    "Besu, IBFT 2.0": (
        IBFT2_EXAMPLE,
        HeaderHash.IBFT2,
        "8d8736980278155e486cf0543c0a53cd3a3c961c3b976c6a4ac7dc5310dad88d",
    ),
}


def addresses(listed: Sequence[str]) -> set[bytes]:
    return set(map(bytes.fromhex, listed))


@pytest.mark.parametrize(("encoded", "rule", "expected"), HASHES.values(), ids=HASHES)
def test_hashes_of_known_headers(encoded: bytes, rule: HeaderHash, expected: str) -> None:
    assert read_header(encoded).hash(rule).hex() == expected


def test_what_is_read_of_a_header() -> None:
    read = read_header(GOERLI_5102442)
    assert (read.number, read.timestamp) == (5_102_442, 0x60E652D7)
    assert read.parent_hash.hex().startswith("b8a6ba8f")
    assert read.transactions_root.hex().startswith("43fd7e89")
    assert read.receipts_root.hex().startswith("1e8cf75a")


def test_the_committers_of_a_block_of_besu_are_three_of_its_four_validators() -> None:
    read = read_header(QBFT_7528)
    committers = committed_by(read, HeaderHash.QBFT)
    assert validators_named(read) == addresses(QBFT_VALIDATORS)
    assert committers < addresses(QBFT_VALIDATORS)
    assert len(committers) == 3


def test_the_committers_of_the_example_of_ibft2() -> None:
    keys = [PrivateKey(secret.to_bytes(32, "big")) for secret in range(1, 5)]
    read = read_header(IBFT2_EXAMPLE)
    assert committed_by(read, HeaderHash.IBFT2) == {address_of(key.public_key.format()) for key in keys}
    assert validators_named(read) == {(1).to_bytes(20, "big"), (2).to_bytes(20, "big")}


def test_a_seal_under_the_other_rule_is_somebody_elses() -> None:
    assert not committed_by(read_header(QBFT_7528), HeaderHash.IBFT2) & addresses(QBFT_VALIDATORS)


def test_seals_and_round_do_not_change_the_hash_of_ibft2_and_qbft_and_all_else_does() -> None:
    for encoded, rule in ((QBFT_7528, HeaderHash.QBFT), (IBFT2_EXAMPLE, HeaderHash.IBFT2)):
        read = read_header(encoded)
        fields = rlp.decode_list(read.extra_data)
        for place, changed in enumerate((bytes([9]) * 32, [], [bytes(20), b""], b"\x09", [])):
            others = [*fields[:place], changed, *fields[place + 1 :]]
            other = read_header(read.with_extra_data(rlp.encode(others)))
            assert (other.hash(rule) == read.hash(rule)) == (place in (3, 4))


def test_the_signer_of_goerli_and_the_signers_named_at_an_epoch() -> None:
    read = read_header(GOERLI_5102442)
    assert clique_signer(read).hex() == "8b24eb4e6aae906058242d83e51fb077370c4720"
    assert clique_signers_named(read) == frozenset()
    epoch = read_header(read.with_extra_data(bytes(32) + b"\x01" * 20 + b"\x02" * 20 + bytes(64) + b"\x01"))
    assert clique_signers_named(epoch) == {b"\x01" * 20, b"\x02" * 20}


REFUSED = {
    "too few fields": rlp.encode(list(rlp.decode_list(MAINNET_1))[:14]),
    "a hash of 31 bytes": header(parent="00" * 31, number=1, timestamp=1, extra=""),
    "a list among its fields": rlp.encode([*rlp.decode_list(MAINNET_1), []]),
    "a later field of 33 bytes": header(parent="00" * 32, number=1, timestamp=1, extra="", later=[bytes(33)]),
    "very many fields": rlp.encode([b""] * 40),
    "a bloom of 255 bytes": header(parent="00" * 32, number=1, timestamp=1, extra="", bloom=bytes(255)),
    "a number with a leading zero": rlp.encode(
        [b"\x00\x01" if at == 8 else field for at, field in enumerate(rlp.decode_list(MAINNET_1))]
    ),
    "one beyond the bound": header(parent="00" * 32, number=1, timestamp=1, extra="00" * MAXIMUM_HEADER_BYTES),
    "truncated": MAINNET_1[:-1],
}


@pytest.mark.parametrize("encoded", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(encoded: bytes) -> None:
    with pytest.raises(MalformedChainData):
        read_header(encoded)


EXTRA_REFUSED = {
    "none": "",
    "shorter than a seal": "00" * 64,
    "no vanity": "00" * 65,
    "half a signer": "00" * (32 + 10 + 65),
}


@pytest.mark.parametrize("extra", EXTRA_REFUSED.values(), ids=EXTRA_REFUSED)
def test_extra_data_that_is_not_of_clique(extra: str) -> None:
    read = read_header(header(parent="00" * 32, number=1, timestamp=1, extra=extra))
    with pytest.raises(MalformedChainData):
        (clique_signers_named(read), clique_signer(read))


def test_half_a_signer_is_none() -> None:
    read = read_header(GOERLI_5102442)
    odd = read_header(read.with_extra_data(bytes(32 + 10) + read.extra_data[-65:]))
    with pytest.raises(MalformedChainData, match="addresses of 20 bytes"):
        clique_signers_named(odd)


def test_extra_data_that_is_not_of_ibft2_or_qbft() -> None:
    for extra in ("", "c0", "c480808080", "00" * 97, rlp.encode([b"", b"", b"", b"", b""]).hex()):
        read = read_header(header(parent="00" * 32, number=1, timestamp=1, extra=extra))
        with pytest.raises(MalformedChainData):
            (read.hash(HeaderHash.QBFT), committed_by(read, HeaderHash.QBFT))
    seals = rlp.encode([bytes(32), [], b"", b"", [bytes(64) + b"\x02"] * 300]).hex()
    with pytest.raises(MalformedChainData, match="300 committed seals"):
        committed_by(read_header(header(parent="00" * 32, number=1, timestamp=1, extra=seals)), HeaderHash.QBFT)


def test_headers_whose_hash_a_node_states_have_none_here() -> None:
    with pytest.raises(MalformedChainData):
        read_header(MAINNET_1).hash(HeaderHash.STATED)


@given(st.binary(max_size=700))
def test_hostile_bytes_are_refused_as_malformed(data: bytes) -> None:
    with pytest.raises(MalformedChainData):
        read_header(data)


@given(st.integers(0, len(GOERLI_5102442) - 1), st.integers(1, 255))
def test_every_byte_counts(place: int, mask: int) -> None:
    changed = GOERLI_5102442[:place] + bytes([GOERLI_5102442[place] ^ mask]) + GOERLI_5102442[place + 1 :]
    try:
        found: Any = read_header(changed).hash(HeaderHash.CLIQUE)
    except MalformedChainData:
        return
    assert found == keccak256(changed) != keccak256(GOERLI_5102442)
