import pytest

from common import context
from common import errors
from common import policy
from common.config import load


def who(*roles: str, project: str = "mine") -> context.Context:
    return context.Context(user_id="ada", project_id=project, roles=list(roles))


@pytest.fixture
def rules():
    return policy.Policy(load.private({}))


@pytest.mark.parametrize("rule", list(policy.RULES))
def test_administrator_may_everything(rules, rule):
    rules.enforce(who("admin"), rule, {"project_id": "other"})


@pytest.mark.parametrize("rule", ["known", "servers:read", "servers:write"])
def test_member_may_what_concerns_the_own_project(rules, rule):
    rules.enforce(who("member"), rule)


@pytest.mark.parametrize("rule", ["servers:read", "servers:write"])
def test_member_may_nothing_to_another_project(rules, rule):
    with pytest.raises(errors.Forbidden, match="ada"):
        rules.enforce(who("member"), rule, {"project_id": "other"})


@pytest.mark.parametrize(
    "rule", [name for name, (allowed, _) in policy.RULES.items() if allowed == policy.ADMIN]
)
def test_member_may_nothing_of_an_administrator(rules, rule):
    with pytest.raises(errors.Forbidden, match=rule):
        rules.enforce(who("member"), rule)


def test_operator_overrides_a_rule(tmp_path):
    """With a file that names the rule and who may."""
    (tmp_path / "policy.yaml").write_text('"services:read": "role:watcher"\n')
    rules = policy.Policy(with_file(tmp_path))

    rules.enforce(who("watcher"), "services:read")
    with pytest.raises(errors.Forbidden):
        rules.enforce(who("admin"), "services:read")


def with_file(folder):
    """Give options that name the folder's policy file."""
    conf = load.private({})
    policy.Policy(conf)
    conf.set_override("policy_file", str(folder / "policy.yaml"), group="oslo_policy")
    return conf
