"""Words of judged record bundles (appliance.ceremonies.judging) in Simplified Chinese."""

from __future__ import annotations

from typing import Final

CEREMONIES: Final[dict[str, str]] = {
    "the record of the ceremony": "仪式记录",
    "record bundle": "记录包",
    "constitution": "章程",
    "decision": "决定",
    "execution": "执行",
    "law": "所依章程",
    "logs": "日志",
    "amendment": "修订",
    "quorum": "法定人数",
    "statements": "声明",
    "statement": "声明",
    "succession": "沿革",
    "box's record": "设备记录",
    "plain words": "明文说明",
    "founding": "初始章程",
    "rehearsal": "演练",
    "proposal": "提案",
    "times": "时间",
    "steps": "步骤",
    "outputs": "产物",
    "records": "记录",
    "exception": "异常",
    "The manifest is not of these members: something in the bundle is changed.":
        "清单不是这些成员的清单：记录包中有内容被更改。",
    "{0} has the SHA-256 of each of the {1} members that it is about.": "{0} 载有其所述 {1} 个成员各自的 SHA-256。",
    "The log {0} has not one record of this bundle.": "日志 {0} 中此记录包的记录不是恰好一条。",
    "The box's record is of another bundle: something in this one is changed.":
        "设备的记录针对另一记录包：此包中有内容被更改。",
    "The box's record of the bundle is older than what it holds.": "设备对此记录包的记录早于其所含内容。",
    "The log {0} has, as its entry {1}, that the box made exactly this bundle at {2}.":
        "日志 {0} 第 {1} 条载明：设备于 {2} 所作的正是此记录包。",
    "{0} is what this verifier itself reads in the proposal.": "{0} 与本验证器自行读取提案的结果一致。",
    "{0} is in other words than this verifier's. Read the proposal with: cinnabar proposal show":
        "{0} 的措辞与本验证器不同。请用以下命令阅读提案：cinnabar proposal show",
    "A version of the constitution is not lawful: {0}.": "章程的某一版本不合法：{0}。",
    "{0} version(s): each approved by every quorum that it concerned, and accepted by whoever was new in it.":
        "共 {0} 版：每一版均获其涉及的各方法定人数批准，并由新任者接受。",
    "The trust bundle names no founding, and none was given. Compare with the founding's words, and give them: "
    "--constitution {0}":
        "信任包未指明初始章程，也未给出。请与初始章程的助记词核对，并给出：--constitution {0}",
    "The constitution does not begin with the founding that is trusted: it is another one.":
        "章程并非始于受信任的初始章程，而是另一份。",
    "the trust bundle names": "信任包所指明的",
    "you gave": "您所给的",
    "It begins with the founding that {0}: {1} ... ({2})": "章程始于{0}初始章程：{1} ...（{2}）",
    "Rehearsal and production never verify each other.": "演练与生产绝不互相验证。",
    "The transcript names another constitution, or another box.": "记录书所指的是另一章程或另一设备。",
    "The proposal was made under a constitution that was never in force.": "提案依据的章程从未生效。",
    "The constitution took effect after the decision.": "章程在决定之后才生效。",
    "It was decided under version {0}, SHA-256 {1}.": "依第 {0} 版章程决定，SHA-256 {1}。",
    "There is no constitution in the bundle.": "记录包中没有章程。",
    "The transcript is of another proposal.": "记录书针对另一提案。",
    "{0} for {1}: SHA-256 {2}": "{0}，提出人 {1}：SHA-256 {2}",
    "A statement of {0} is about another proposal.": "{0} 的一份声明针对另一提案。",
    "The transcript tells of other statements than the officers made.": "记录书所载的声明与安全官所作的不同。",
    "The transcript is wrong about whether {0}'s statement holds.": "记录书对 {0} 的声明是否成立所载有误。",
    "card": "智能卡",
    "passkey": "通行密钥",
    "{0}: {1}, signed with a {2}, {3}": "{0}：{1}，以{2}签名，{3}",
    "{0}: {1} does not hold under that constitution.": "{0}：{1}，依该章程不成立。",
    "Officers rejected it after the execution had failed: it could be executed no more.":
        "执行失败后安全官予以否决：不得再执行。",
    "The transcript says that it was withdrawn; by the statements it was not.":
        "记录书称其已撤回；依各声明并未撤回。",
    "After the execution had failed {0} withdrew it: it was not executed any more.":
        "执行失败后 {0} 将其撤回：未再执行。",
    "officers": "安全官",
    "The transcript says {0}; by the statements the proposal was {1}.": "记录书称 {0}；依各声明，提案的结果为 {1}。",
    "The proposal was {0}, and nothing was executed.": "提案的结果为 {0}，未执行任何操作。",
    "A statement came after the execution had begun.": "有声明在执行开始之后才作出。",
    "The quorum had not approved this: {0}.": "法定人数未批准此事：{0}。",
    "{0} alone, who takes power away": "仅 {0} 一人（收回权限）",
    "{0}, execution {1}: approved by {2} ({3} needed beside the requester).":
        "{0}，第 {1} 次执行：由 {2} 批准（除提出人外须 {3} 人）。",
    "{0}: approved by {1} ({2} needed beside the requester).": "{0}：由 {1} 批准（除提出人外须 {2} 人）。",
    "Step {0}, attempt {1}: {2}": "第 {0} 步，第 {1} 次尝试：{2}",
    "A step ended before it began.": "有步骤在开始之前即已结束。",
    "The transcript's times do not follow each other.": "记录书中的时间先后不合。",
    "The proposal was submitted before it was made.": "提案在拟定之前即已提交。",
    "From {0} to {1} by the box's clock, in order.": "按设备时钟自 {0} 至 {1}，先后有序。",
    "The attempts are not numbered as they must be.": "各次尝试的编号不合规定。",
    "The steps of the attempts are mixed.": "各次尝试的步骤混杂。",
    "Step {0}, {1}, is not the proposal's next one.": "第 {0} 步 {1} 不是提案的下一步。",
    "Attempt {0} is called {1}, and its steps say otherwise.": "第 {0} 次尝试标为 {1}，其步骤所示不同。",
    "Something was executed after everything was done.": "全部完成之后又执行了操作。",
    "The transcript's end is not that of its last attempt.": "记录书的结果与最后一次尝试不符。",
    "{0} of the proposal's {1} action(s) were done, each once and in the proposal's order.":
        "提案的 {1} 项操作中已完成 {0} 项，各一次，且依提案顺序。",
    "{0} of step {1} stands under another name.": "第 {1} 步的 {0} 以另一名称存放。",
    "{0} is not what step {1} made.": "{0} 不是第 {1} 步的产物。",
    "The version that the ceremony brought is not in the bundle.": "仪式产生的版本不在记录包中。",
    "The version that it brought is not lawful: {0}.": "其产生的版本不合法：{0}。",
    "The version that took effect is not the one that was approved.": "生效的版本不是获批准的版本。",
    "Version {0} of the constitution took effect, lawfully.": "章程第 {0} 版依法生效。",
    "The bundle has no record of any log.": "记录包中没有任何日志的记录。",
    "The log that the proposal names is not among the ceremony's.": "提案所指的日志不在仪式的日志之列。",
    "The log {0} tells of other events than the transcript.": "日志 {0} 所载事件与记录书不同。",
    "The proposal's requester had seen a log that had this ceremony already.":
        "提案提出人所见的日志中已有此仪式。",
    "The log {0} has all {1} events, as entries {2} to {3}, each opened and under a head that the log signed.":
        "日志 {0} 载有全部 {1} 个事件，即第 {2} 条至第 {3} 条，均已开启，且处于日志所签的树头之下。",
}  # fmt: skip
