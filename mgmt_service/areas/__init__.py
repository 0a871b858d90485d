"""The parts of the service, one module each; mgmt_service.table lists them."""
