"""Every contract keeps to its OpenAPI document, whatever it is asked: `make fuzz` in short."""

import pytest

from tests.conformance.fuzz import CONTRACTS, a_target, fuzz


@pytest.mark.timeout(240)
@pytest.mark.parametrize("contract", CONTRACTS)
async def test_no_request_gets_an_answer_that_is_not_documented(contract, tmp_path):
    async with a_target(tmp_path) as target:
        status, said = fuzz(target, contract, examples=3, phases="coverage,fuzzing")
        assert status == 0, said
        assert '"level": "error"' not in target.house.output.read_text()
