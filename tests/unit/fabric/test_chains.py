from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pubsub.fabric import chains
from pubsub.fabric.chains import unique_chain
from pubsub.fabric.identity_errors import (
    AmbiguousChainError,
    CriticalExtensionError,
    NameConstraintsError,
    NotACaError,
    OutsideValidityError,
    UntrustedError,
    UsageError,
)
from tests.unit.fabric.network import DAY, WHEN, authority

ROOT = authority("root")
MIDDLE = authority("middle", 2, parent=ROOT)
LOWER = authority("lower", 3, parent=MIDDLE)
INTERMEDIATES = (MIDDLE.certificate, LOWER.certificate)


def chain_of(certificate, roots=(ROOT,), intermediates=INTERMEDIATES):
    return unique_chain(certificate, [root.certificate for root in roots], intermediates)


@pytest.mark.parametrize(
    ("issuer", "above"), [(ROOT, [ROOT]), (MIDDLE, [MIDDLE, ROOT]), (LOWER, [LOWER, MIDDLE, ROOT])]
)
def test_a_chain_goes_through_intermediates_to_a_root(issuer, above):
    leaf = issuer.issue("leaf", when=WHEN).certificate
    assert chain_of(leaf) == (leaf, *(each.certificate for each in above))


def test_a_root_is_its_own_chain():
    assert chain_of(ROOT.certificate) == (ROOT.certificate,)


@pytest.mark.parametrize("stranger", [authority("root", 9), authority("other", 9)])
def test_another_authority_is_not_believed_whatever_its_name(stranger):
    with pytest.raises(UntrustedError, match="unknown authority") as caught:
        chain_of(stranger.issue("leaf", when=WHEN).certificate)
    assert type(caught.value) is UntrustedError


def test_a_missing_intermediate_breaks_the_chain():
    leaf = LOWER.issue("leaf", when=WHEN).certificate
    with pytest.raises(UntrustedError):
        chain_of(leaf, intermediates=[LOWER.certificate])


def test_a_chain_is_checked_at_the_beginning_of_the_certificate_not_now():
    old = ROOT.issue("old", when=WHEN, lifetime=DAY).certificate
    assert chain_of(old) == (old, ROOT.certificate)
    # Fabric's peers do not know a certificate that begins before its authority does.
    early = ROOT.issue("early", when=WHEN - DAY).certificate
    with pytest.raises(OutsideValidityError, match="'root'"):
        chain_of(early)
    late = ROOT.issue("late", when=WHEN + 4000 * DAY).certificate
    with pytest.raises(OutsideValidityError):
        chain_of(late)


def test_days_that_make_no_sense():
    instant = ROOT.issue("instant", when=WHEN, lifetime=timedelta()).certificate
    with pytest.raises(OutsideValidityError):
        chain_of(instant)
    last = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    with pytest.raises(OutsideValidityError):
        chain_of(ROOT.issue("last", when=last, lifetime=timedelta(seconds=1)).certificate)


def test_who_is_no_authority_issues_nothing():
    pair = ROOT.issue("leaf", when=WHEN)
    below = authority("below", 4)
    below._key, below._subject = pair.key, pair.certificate.parsed.subject
    issued = below.issue("x", when=WHEN).certificate
    with pytest.raises(NotACaError, match="no authority"):
        chain_of(issued, intermediates=[pair.certificate])


def test_an_authority_may_be_kept_from_signing_certificates(monkeypatch):
    monkeypatch.setattr(
        "pubsub.fabric.make_certificates._key_usage",
        lambda **_: x509.KeyUsage(True, *[False] * 8),
    )
    weak = authority("weak", 5)
    monkeypatch.undo()
    leaf = weak.issue("leaf", when=WHEN).certificate
    with pytest.raises(NotACaError, match="may not sign"):
        chain_of(leaf, roots=[weak])


def test_an_authority_may_bound_how_many_stand_below_it():
    root = authority("root", path_length=0)
    middle = authority("middle", 2, parent=root)
    leaf = middle.issue("leaf", when=WHEN).certificate
    with pytest.raises(NotACaError, match="1 authorities stand below 'root', 0 may"):
        chain_of(leaf, roots=[root], intermediates=[middle.certificate])
    assert len(chain_of(root.issue("leaf", when=WHEN).certificate, roots=[root])) == 2


def test_two_chains_are_one_too_many():
    # The same authority, certified by two roots.
    other = authority("other", 6)
    twin = authority("middle", 2, parent=other)
    assert twin.certificate.parsed.public_key() == MIDDLE.certificate.parsed.public_key()
    leaf = MIDDLE.issue("leaf", when=WHEN).certificate
    with pytest.raises(AmbiguousChainError, match="2 chains"):
        chain_of(leaf, [ROOT, other], [MIDDLE.certificate, twin.certificate])
    assert len(chain_of(leaf, [ROOT], [MIDDLE.certificate, twin.certificate])) == 3


def test_an_authority_stands_in_a_chain_once():
    leaf = MIDDLE.issue("leaf", when=WHEN).certificate
    both = (*INTERMEDIATES, ROOT.certificate)
    assert chain_of(leaf, intermediates=both) == (leaf, MIDDLE.certificate, ROOT.certificate)
    # Two that certify each other lead nowhere.
    one, other = authority("one", 30), authority("other", 31)
    ring = (authority("one", 30, parent=other), authority("other", 31, parent=one))
    lost = one.issue("leaf", when=WHEN).certificate
    with pytest.raises(UntrustedError, match="unknown"):
        chain_of(lost, intermediates=[each.certificate for each in ring])


def test_critical_extensions_must_be_understood():
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"")
    leaf = ROOT.issue("leaf", when=WHEN, extensions=[(odd, True)]).certificate
    with pytest.raises(CriticalExtensionError, match=r"1\.2\.3\.4"):
        chain_of(leaf)
    chain_of(ROOT.issue("leaf", when=WHEN, extensions=[(odd, False)]).certificate)


def test_extended_usages_must_let_servers_in():
    for usage, is_good in (
        (ExtendedKeyUsageOID.CLIENT_AUTH, False),
        (ExtendedKeyUsageOID.SERVER_AUTH, True),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, True),
    ):
        extension = x509.ExtendedKeyUsage([usage])
        leaf = ROOT.issue("leaf", when=WHEN, extensions=[(extension, False)]).certificate
        if is_good:
            chain_of(leaf)
        else:
            with pytest.raises(UsageError):
                chain_of(leaf)


def test_where_names_are_constrained_a_certificate_may_have_none(monkeypatch):
    constraints = x509.NameConstraints([x509.DNSName("example.com")], None)
    narrow = authority("narrow", 7)
    object.__setattr__(narrow.certificate, "constrains_names", True)
    assert narrow.issue("x", when=WHEN, extensions=[(constraints, True)]).certificate
    for name, hosts in (("host.example.com", ()), ("*.x", ()), ("no host", ["a"])):
        with pytest.raises(NameConstraintsError):
            chain_of(narrow.issue(name, when=WHEN, hosts=hosts).certificate, [narrow])
    assert len(chain_of(narrow.issue("Admin@x", when=WHEN).certificate, [narrow])) == 2


def test_the_search_is_bounded(monkeypatch):
    monkeypatch.setattr(chains, "MAX_SIGNATURE_CHECKS", 10)
    namesakes = [authority("many", 20 + number).certificate for number in range(10)]
    leaf = authority("many", 50).issue("leaf", when=WHEN).certificate
    with pytest.raises(UntrustedError, match="unknown"):
        unique_chain(leaf, namesakes, ())
    with pytest.raises(UntrustedError, match="too many"):
        unique_chain(leaf, namesakes, namesakes)
