"""Who the officers are: candidates, the first constitution, and the chain of constitutions in force."""
