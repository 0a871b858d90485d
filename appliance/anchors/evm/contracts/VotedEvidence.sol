// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

/// Evidence that several parties vote for before it stands, with the interface that WeBank's evidence contract has:
/// somebody asks for a hash to be saved, voters vote, and with the last vote that is needed it is saved.
contract VotedEvidence {
    event CreateSaveRequest(bytes32 indexed hash, address creator);
    event VoteSaveRequest(bytes32 indexed hash, address voter, bool complete);
    event EvidenceSaved(bytes32 indexed hash);

    struct Request {
        address creator;
        bytes ext;
        uint8 voted;
    }

    struct Saved {
        address creator;
        uint256 time;
    }

    uint8 public immutable threshold;
    mapping(address => bool) public isVoter;
    mapping(bytes32 => Request) private requests;
    mapping(bytes32 => mapping(address => bool)) private hasVoted;
    mapping(bytes32 => Saved) private saved;

    constructor(uint8 votes, address[] memory voters) {
        require(votes > 0 && votes <= voters.length, "threshold");
        threshold = votes;
        for (uint256 place = 0; place < voters.length; ++place) {
            require(!isVoter[voters[place]], "voter twice");
            isVoter[voters[place]] = true;
        }
    }

    function createSaveRequest(bytes32 hash, bytes calldata ext) external {
        require(hash != 0, "no hash");
        require(requests[hash].creator == address(0) && saved[hash].time == 0, "exists");
        requests[hash] = Request(msg.sender, ext, 0);
        emit CreateSaveRequest(hash, msg.sender);
    }

    function voteSaveRequest(bytes32 hash) external returns (bool) {
        require(isVoter[msg.sender], "no voter");
        Request storage request = requests[hash];
        require(request.creator != address(0), "no request");
        require(!hasVoted[hash][msg.sender], "voted");
        hasVoted[hash][msg.sender] = true;
        ++request.voted;
        bool complete = request.voted >= threshold;
        emit VoteSaveRequest(hash, msg.sender, complete);
        if (complete) {
            saved[hash] = Saved(request.creator, block.timestamp);
            delete requests[hash];
            emit EvidenceSaved(hash);
        }
        return true;
    }

    function getRequestData(bytes32 hash) external view returns (bytes32, address, bytes memory, uint8, uint8) {
        Request storage request = requests[hash];
        require(request.creator != address(0), "no request");
        return (hash, request.creator, request.ext, request.voted, threshold);
    }

    function getEvidence(bytes32 hash) external view returns (bytes32, address, uint256) {
        Saved storage found = saved[hash];
        require(found.time != 0, "no evidence");
        return (hash, found.creator, found.time);
    }
}
