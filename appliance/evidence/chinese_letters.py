"""Words of judged evidence of letters (appliance.evidence.letters) in Simplified Chinese."""

from __future__ import annotations

from typing import Final

LETTERS: Final[dict[str, str]] = {
    "evidence of a letter": "函件证据",
    "container": "容器",
    "events": "事件",
    "event": "事件",
    "extent": "范围",
    "page for people": "供人阅读的网页",
    "approval": "审批",
    "approvers": "审批人密钥",
    "helper": "辅助材料",
    "log order": "日志顺序",
    "time": "时间",
    "envelope": "加密信封",
    "receipt": "回执",
    "seal object": "印章对象",
    "disclosures": "披露",
    "seal": "签章",
    "court package": "司法证据包",
    "court package: {0}": "司法证据包：{0}",
    "event {0}": "事件 {0}",
    "event {0} of {1}…": "函件 {1}… 的事件 {0}",
    "event {0}: {1}": "事件 {0}：{1}",
    "signer {0} of {1}: {2}": "第 {0} 位签署方（共 {1} 位）：{2}",
    "The container is refused: {0}.": "容器被拒绝：{0}。",
    "{0} entries, none twice, nothing between or after them; each is named by a sealed manifest or proves itself.":
        "{0} 个条目，无重复，条目之间和之后没有其他内容；每一条目均列于已签章的清单，或可自证。",
    "The entry {0} is none that an evidence file has.": "条目 {0} 不是证据文件应有的条目。",
    "It does not say which letter it is about, as boxes do.": "文件未按设备的方式说明所涉函件。",
    "It is of a format that this verifier lacks.": "文件格式不为本验证程序所识别。",
    "{0}: {1}.": "{0}：{1}。",
    "{0}: nested too deeply.": "{0}：嵌套过深。",
    "{0} has no seal of its own.": "{0} 没有自己的签章。",
    "{0} names {1}, which is not there.": "{0} 列出的 {1} 不在文件中。",
    "{0} is not the file that {1} names: it was changed.": "{0} 不是 {1} 所列的文件：它已被更改。",
    "{0} names {1}, which is not its own.": "{0} 列出了不属于它的 {1}。",
    "{0} covers no event.": "{0} 未涵盖任何事件。",
    "{0} stands outside every sealed manifest.": "{0} 不在任何已签章的清单之内。",
    "{0} belongs to no manifest.": "{0} 不属于任何清单。",
    "The court package was sealed for another event than the newest one in the file.":
        "司法证据包所签章的事件不是文件中最新的事件。",
    "{0} is not what its name says.": "{0} 的内容与其名称不符。",
    "kind": "种类",
    "page": "页面",
    "{0} is no page as boxes set them, so nothing shows what it says: {1}.":
        "{0} 不是设备所排版的页面，因此其内容无从证明：{1}。",
    "The JSON inside the page is not the event.": "页面内附的 JSON 不是该事件。",
    "The page was not compared with the event: `cinnabar verify` does.":
        "此处未将页面与事件比对：`cinnabar verify` 会作比对。",
    "The page was not compared: it is from before pages said how they are made of their event.":
        "页面未作比对：它早于页面注明其如何由事件生成之时。",
    "The page was not compared: it is made by version {0} of the rules of pages.":
        "页面未作比对：它按页面规则第 {0} 版生成。",
    "The page was not compared: the kind's file is not there.": "页面未作比对：没有种类文件。",
    "Contradiction: the page and the trust bundle do not say alike whether this is a rehearsal.":
        "矛盾：页面与信任包对是否属于演练的说法不一致。",
    "The page was not compared, for it could not be set again: {0}.": "页面未作比对，因为无法重新排版：{0}。",
    "The page was not compared: other versions set it than are installed here.":
        "页面未作比对：排版所用版本与此处安装的不同。",
    "The page, set again, shows what the event says, in the name of {0}; its QR leads to {1}.":
        "页面重新排版后一致：所示内容即事件所述，以 {0} 的名义；其二维码指向 {1}。",
    "The page, set again, shows what the event says, in the name of {0}; it has no QR.":
        "页面重新排版后一致：所示内容即事件所述，以 {0} 的名义；没有二维码。",
    "The page does not show what the event says: set again from the event, it comes out otherwise.":
        "页面所示不是事件所述：由事件重新排版的结果与之不同。",
    "More than seals was added to the page after it had been set.": "页面排版之后，除印章外还添加了其他内容。",
    "{0} is of a kind that no event names.": "{0} 所属种类未被任何事件指明。",
    "{0} is larger than a kind's file.": "{0} 大于任何种类文件。",
    "There are more kinds than a letter has.": "种类文件多于一份函件所有。",
    "{0} cannot be read as a kind: {1}.": "{0} 不能读作种类文件：{1}。",
    "{0} is of another kind or version than the events say. Titles are not from it.":
        "{0} 所属种类或版本与各事件所述不同。名称不取自该文件。",
    "{0} is the file that the events name by its SHA-256: {1}, version {2}. Titles are from it.":
        "{0} 是各事件以 SHA-256 指明的种类文件：{1}，第 {2} 版。名称取自该文件。",
    "The events do not hold together: {0}.": "各事件不能衔接：{0}。",
    "The events say what is no value: {0}.": "事件中的金额或取值无效：{0}。",
    "{0} has a foreign name.": "{0} 的名称不属于该事件。",
    "{0} event(s), each naming the one before by its SHA-256; followed to the letter {1}, its value conserved.":
        "{0} 个事件，各以 SHA-256 指明前一事件；逐一推导至函件 {1}，每一步金额守恒。",
    "The file tells of the letter up to the newest event in it. Whether later ones exist, only the box can say.":
        "本文件只反映函件至其中最新事件为止的情况。此后是否另有事件，只有设备能够说明。",
    "The file holds a page for people, META-INF/for-people.html. Nothing vouches for it; this report replaces it.":
        "文件中有一个供人阅读的网页 META-INF/for-people.html。其内容没有任何保证；应以本报告为准。",
    "The seal has several time-stamps, which no seal of a box has.": "签章带有多个时间戳，设备的签章从不如此。",
    "{0} and {1} file(s) beside it are, byte for byte, those that the sealed manifest names.":
        "{0} 及其所附 {1} 个文件与已签章清单所列逐字节一致。",
    "The record in the log is of an event, asked for by the application and tenant that the event names.":
        "日志中的记录属于一个事件，其申请应用和租户与事件所述一致。",
    "Contradiction: the record in the log names another application or tenant, or is of no event.":
        "矛盾：日志中的记录指明了另外的应用或租户，或者不属于事件。",
    "Contradiction: the log {0} had ended when an earlier event was recorded.":
        "矛盾：较早事件记录时，日志 {0} 已经结束。",
    "Contradiction: entry {0} of the log stands before that of an earlier event.":
        "矛盾：日志第 {0} 项位于较早事件的记录之前。",
    "The event's time is none.": "事件的时间无效。",
    "The box says that it happened at {0}.": "设备声明其发生于 {0}。",
    "The seal has no time-stamp that holds, neither inside it nor by an evidence record beside it.":
        "签章没有有效的时间戳：其内部没有，随附的证据记录也没有。",
    "The evidence record is over something else than this event's seal.": "证据记录所涵盖的不是此事件的签章。",
    "The seal is not of one signature alone.": "该签章并非仅含一个签名。",
    "The record is about another seal than this one.": "记录所述是另一签章，不是此签章。",
    "{0} and its manifest are not both there.": "{0} 与其清单未同时存在。",
    "{0} names something else than the seal of its event as it is here.": "{0} 所列的不是文件中其事件的签章。",
    "Contradiction: the event says {0}, but its seal existed no later than {1}.":
        "矛盾：事件声明 {0}，但其签章最迟存在于 {1}。",
    "The envelope of the encrypted field {0} is not in the file.": "加密字段 {0} 的信封不在文件中。",
    "opening": "开启",
    "The envelope of the opened field {0} is not in the file.": "已开启字段 {0} 的信封不在文件中。",
    "The opened field {0} is what its sender had committed to.": "已开启字段 {0} 与其发送方所承诺的一致。",
    "The opened field {0} is not what its sender had committed to.": "已开启字段 {0} 与其发送方所承诺的不一致。",
    "The receipt {0} of {1} is beside the event, byte for byte.": "{1} 的回执 {0} 随事件附上，逐字节一致。",
    "The receipt {0} of {1} is not in the file.": "{1} 的回执 {0} 不在文件中。",
    "The seal object beside the event is none.": "事件所附印章对象无效。",
    "The seal is seen as the seal object {0}, {1}, version {2}, SHA-256 {3}; in force from {4} to {5}.":
        "签章以印章对象 {0}（{1}，第 {2} 版，SHA-256 {3}）显示；有效期自 {4} 至 {5}。",
    "The seal object was the tenant's, in force then, and permits the certificate of the seal.":
        "印章对象属于该租户，当时有效，且许可签章所用证书。",
    "The seal object says that it was the tenant's, in force then, and permits the certificate of the seal; "
    "that officers registered it is said by the seal alone. Compare its SHA-256, and give it with --digest.":
        "印章对象自称属于该租户、当时有效并准许该签章证书；其经安全官登记一事仅由签章证明。"
        "请核对其 SHA-256，并以 --digest 给出。",
    "The seal object was not the tenant's, not in force then, or does not permit the certificate of the seal.":
        "印章对象不属于该租户、当时无效，或未许可签章所用证书。",
    "A disclosure is not the event's: {0}.": "某项披露不属于该事件：{0}。",
    "{0} hidden value(s) are those whose digests the event holds.": "{0} 项隐藏值与事件所载摘要一致。",
    "The seal does not show that it is over this manifest.": "签章未能证明它所涵盖的是此清单。",
    "{0} part(s), byte for byte those that the sealed manifest names.": "{0} 个部分，与已签章清单所列逐字节一致。",
    "The record in the log is of a court package that the box made for the letter's tenant.":
        "日志中的记录属于设备为该函件的租户制作的司法证据包。",
    "Contradiction: the record in the log is of no court package of the letter's tenant.":
        "矛盾：日志中的记录不属于该函件租户的司法证据包。",
    "The event's record is not in the file, so no log shows it.": "事件的记录不在文件中，因此没有日志可以证明。",
    "The record's opening is {0}.": "记录开启件：{0}。",
    "The record's opening has members that nothing covers.": "记录开启件含有不受任何签名保护的成员。",
    "The opening and the proof name different entries.": "开启件与证明指明了不同的日志项。",
    "The log proof is not text.": "日志证明不是文本。",
    "A passkey's signature: its public key is not in the file.": "通行密钥签名：其公钥不在文件中。",
    "The approvers' keys are malformed: {0}.": "审批人密钥格式损坏：{0}。",
    "The approvers' keys are of another tenant.": "审批人密钥属于另一租户。",
    "The approvers' keys are those of the constitution with the SHA-256 {0}.": "审批人密钥取自 SHA-256 为 {0} 的章程。",
    "It is over exactly this event, before it was approved, by a key of this person's.":
        "所签内容正是本事件（审批之前），且用的是此人的密钥。",
    "The constitution that was followed from its founding has this person with these keys.":
        "自初始章程起追溯的章程中有该人员及这些密钥。",
    "The constitution that was followed from its founding does not have this person with these keys.":
        "自初始章程起追溯的章程中没有该人员或这些密钥。",
    "The keys beside the event are in no constitution that was given: give a ceremony's record bundle.":
        "事件所附密钥不在所给的任何章程中：请给出一次仪式的记录包。",
    "The approver's certificate is not there.": "没有审批人的证书。",
    "It is over exactly this event, before it was approved.": "它所涵盖的正是审批之前的此事件。",
    "It is over something else than this event.": "它所涵盖的不是此事件。",
    "the time of the event": "事件的时间",
    "Step {0}, approver {1}: signed by “{2}” over exactly this event.":
        "第 {0} 步，审批人 {1}：由“{2}”对此事件签署。",
    "Step {0}, approver {1}: {2}. {3} That the box had checked it is said by the seal alone.":
        "第 {0} 步，审批人 {1}：{2}。{3} 设备曾作核验一事仅由签章说明。",
    "Approvals of events of this format do not name their step: which each was for is the seal's word.":
        "此格式事件的审批未注明步骤：各审批所属步骤仅由签章说明。",
    "Step {0}, approver {1}: {2}": "第 {0} 步，审批人 {1}：{2}",
    "card of {0} in the constitution {1}": "{0} 的智能卡，载于章程 {1}",
    "passkey of {0} in the constitution {1}": "{0} 的通行密钥，载于章程 {1}",
    "the newest event in the file": "文件中最新的事件",
}  # fmt: skip

LABELS: Final[dict[str, str]] = {
    "Report on evidence of a letter": "函件证据验证报告",
    "Report of a verification": "验证报告",
    "Letter": "函件",
    "Kind": "种类",
    "State": "状态",
    "Balance": "余额",
    "Sealed by": "签章方",
    "Newest event in the file": "文件中最新的事件",
    "Its SHA-256": "其 SHA-256",
    "Hidden fields not shown": "未披露的隐藏字段",
    "Fields": "字段",
    "Chain of title": "权利链",
    "Split off from": "拆分自",
    "Time": "时间",
    "Amount": "金额",
    "Events": "事件",
    "Event": "事件",
    "Number": "序号",
    "Value": "金额变动",
    "Asked by": "申请方",
    "Verdict": "结论",
    "Court package": "司法证据包",
    "Signature time-stamp": "签名时间戳",
    "Existed no later than": "最迟存在于",
    "The box claims": "设备声明",
    "nobody but the box says so": "除设备外无人证明",
    "Two times": "两个时间",
    "Every check": "全部检查",
    "What follows is what the file says. It is not proven.": "以下为文件自称的内容，未经证明。",
    "Log": "日志",
    "Receipt": "回执",
    "Condition on": "条件所涉函件",
    "New letter": "新函件",
    "File": "文件",
    "{0}, version {1}": "{0}，第 {1} 版",
    "{0}, entry {1}": "{0}，第 {1} 条",
    "{0}, {1} bytes, SHA-256 {2}": "{0}，{1} 字节，SHA-256 {2}",
    "Approval": "审批",
    "disclosed": "已披露",
    "encrypted": "已加密",
    "open": "设立",
    "raise": "增加",
    "lower": "减少",
    "close": "结清",
    "split": "拆分",
}
"""What stands around the facts of a letter."""
