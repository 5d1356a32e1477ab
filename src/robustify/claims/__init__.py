"""The paper's claims C1 to C7, decided by stated rules from stored measurements."""
