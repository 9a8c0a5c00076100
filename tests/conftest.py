"""Options and fixtures of the tests that need servers."""

import pathlib

import pytest

from support import process
from support.certificates import Certificates
from support.gateway import Gateway
from support.postgres import DEBIAN_BINARIES, Postgres
from support.target import Bystander, Target


def pytest_addoption(parser):
    parser.addoption("--direct", action="store_true", help="run against PostgreSQL itself, to prove the tests")
    parser.addoption("--postgres", type=pathlib.Path, default=DEBIAN_BINARIES, help="the bin folder of the PostgreSQL to use")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--direct"):
        for item in items:
            if item.get_closest_marker("gateway_only"):
                item.add_marker(pytest.mark.skip(reason="says nothing about PostgreSQL"))


@pytest.fixture(scope="session")
def certificates():
    folder = process.scratch_folder("certificates")
    yield Certificates(folder)
    process.remove(folder)


@pytest.fixture(scope="session")
def postgres(request, certificates):
    """A PostgreSQL that every test shares: leave it as you found it."""
    server = Postgres(binaries=request.config.getoption("--postgres"), certificates=certificates)
    yield server
    server.close()


@pytest.fixture
def own_postgres(request, certificates):
    """A PostgreSQL to stop, restart and break."""
    server = Postgres(binaries=request.config.getoption("--postgres"), certificates=certificates)
    yield server
    server.close()


@pytest.fixture
def make_gateway(request, postgres):
    """Starts gateways with settings of the test's own: make_gateway({...}, postgres=…, upstream=…)."""
    gateways = []

    def make(settings: dict | None = None, *, postgres=postgres, **arguments) -> Gateway:
        gateways.append(Gateway(postgres, settings, **arguments))
        return gateways[-1]

    yield make
    failures = []
    for gateway in gateways:
        try:
            gateway.close()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture(scope="session")
def shared_gateway(request):
    if request.config.getoption("--direct"):
        yield None
        return
    gateway = Gateway(request.getfixturevalue("postgres"))
    yield gateway
    gateway.close()


@pytest.fixture
def target(request, postgres, shared_gateway) -> Target:
    """The gateway with its default settings (trust, session mode, enforce); with --direct, PostgreSQL itself."""
    if shared_gateway is None:
        return Target(postgres)
    shared_gateway.assert_alive()
    return shared_gateway


@pytest.fixture
def bystander(target):
    """A client beside the test: afterwards it must be unharmed, and nothing may be left open."""
    other = Bystander(target)
    yield other
    other.assert_unharmed()
