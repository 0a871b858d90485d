// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

/// Writes commitments into the chain's logs. It keeps nothing: whoever verifies an anchor reads the log of its
/// transaction, and counts only the accounts that the ledger's profile names.
contract CommitmentAnchors {
    /// `commitment`: 32 bytes; `sender`: the account whose transaction this is.
    event Anchored(bytes32 indexed commitment, address indexed sender);

    function anchor(bytes32 commitment) external {
        emit Anchored(commitment, msg.sender);
    }
}
