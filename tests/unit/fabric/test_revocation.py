import random

import pytest

from pubsub.fabric.certificates import CertificateError, decode_pem
from pubsub.fabric.identity_errors import RevokedError
from pubsub.fabric.revocation import check_not_revoked, revocation_list
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import WHEN, authority

CA = authority()
GOOD = CA.issue("good", when=WHEN).certificate
BAD = CA.issue("bad", when=WHEN).certificate
LIST = CA.revocation_list([BAD], when=WHEN)


@pytest.mark.parametrize("encoded", [LIST, decode_pem(LIST)], ids=["pem", "der"])
def test_a_list_names_whom_it_takes_back(encoded):
    lists = [revocation_list(encoded)]
    check_not_revoked(GOOD, CA.certificate, lists)
    with pytest.raises(RevokedError, match="bad"):
        check_not_revoked(BAD, CA.certificate, lists)


def test_a_list_of_another_authority_does_not_count():
    other = authority(seed=2)
    lists = [revocation_list(other.revocation_list([BAD], when=WHEN))]
    check_not_revoked(BAD, CA.certificate, lists)
    # Even if it gives itself out for the first: the signature is looked at.
    forged = revocation_list(other.revocation_list([BAD], when=WHEN))
    object.__setattr__(forged, "authority_key_id", CA.certificate.key_id)
    check_not_revoked(BAD, CA.certificate, [forged])
    assert revocation_list(LIST).is_signed_by(CA.certificate)
    assert not forged.is_signed_by(CA.certificate)


def test_a_list_for_another_key_of_the_authority_does_not_count():
    other = revocation_list(LIST)
    object.__setattr__(other, "authority_key_id", b"another")
    check_not_revoked(BAD, CA.certificate, [other])


def test_hostile_lists_are_read_or_refused():
    for data in hostile_bytes(random.Random(1), [decode_pem(LIST), LIST], 3000):
        try:
            each = revocation_list(data)
        except CertificateError:
            continue
        if each.is_signed_by(CA.certificate):
            with pytest.raises(RevokedError):
                check_not_revoked(BAD, CA.certificate, [each])
