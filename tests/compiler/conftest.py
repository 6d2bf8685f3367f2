# SPDX-License-Identifier: BSD-3-Clause
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from harness import Compiler  # noqa: E402


@pytest.fixture(scope="session")
def compiler():
    return Compiler()


def pytest_addoption(parser):
    parser.addoption("--cases", type=int, default=int(os.environ.get("SPIKED_CASES", "400")), help="random programs of each kind")
    parser.addoption("--seed", type=int, default=int(os.environ.get("SPIKED_SEED", "1")))


@pytest.fixture
def cases(request):
    return request.config.getoption("--cases")


@pytest.fixture
def seed(request):
    return request.config.getoption("--seed")
