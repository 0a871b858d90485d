// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

/// Evidence with the methods of CMEVI (ChainMaker's evidence standard, CM-CS-221221-Evidence): an id and a hash, as
/// text, each at most once, with metadata. For chains that run EVM contracts and want that interface.
contract CmeviEvidence {
    event EvidenceStored(string id, string hash, string metadata);

    struct Entry {
        string id;
        string hash;
        string metadata;
        uint256 height;
        uint256 time;
    }

    Entry[] private entries;
    // Places in `entries`, from 1; 0: there is none.
    mapping(bytes32 => uint256) private placeOfId;
    mapping(bytes32 => uint256) private placeOfHash;

    function Evidence(string calldata id, string calldata hash, string calldata metadata) external {
        bytes32 idKey = keccak256(bytes(id));
        bytes32 hashKey = keccak256(bytes(hash));
        require(bytes(id).length > 0 && bytes(hash).length > 0, "empty");
        require(placeOfId[idKey] == 0, "id exists");
        require(placeOfHash[hashKey] == 0, "hash exists");
        entries.push(Entry(id, hash, metadata, block.number, block.timestamp));
        placeOfId[idKey] = entries.length;
        placeOfHash[hashKey] = entries.length;
        emit EvidenceStored(id, hash, metadata);
    }

    function ExistsOfHash(string calldata hash) external view returns (bool) {
        return placeOfHash[keccak256(bytes(hash))] != 0;
    }

    function ExistsOfId(string calldata id) external view returns (bool) {
        return placeOfId[keccak256(bytes(id))] != 0;
    }

    function FindByHash(string calldata hash) external view returns (Entry memory) {
        return entryAt(placeOfHash[keccak256(bytes(hash))]);
    }

    function FindById(string calldata id) external view returns (Entry memory) {
        return entryAt(placeOfId[keccak256(bytes(id))]);
    }

    function entryAt(uint256 place) private view returns (Entry memory) {
        require(place != 0, "no evidence");
        return entries[place - 1];
    }
}
