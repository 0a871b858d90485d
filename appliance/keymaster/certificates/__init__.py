"""Certificates of the box's authorities: profiles, linting, enrolment, revocation, OCSP, and the trust bundle."""
