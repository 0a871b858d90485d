"""The words of explanations, English and Simplified Chinese side by side: what each action does, and what members mean.

A sentence names members of its action in braces; `{owner}` is the tenant or the box. What a sentence leaves out is
listed below it with the label of the member, so that nothing is left out altogether.
"""

from __future__ import annotations

from typing import Final

Pair = tuple[str, str]
"""English, Simplified Chinese."""

SENTENCES: Final[dict[str, Pair]] = {
    "amend-constitution": (
        "Put a new constitution in force: version {version}. It says who the officers are and how many of them decide.",
        "启用新章程第 {version} 版。章程规定谁是安全官，以及需要几名安全官共同决定。",
    ),
    "initialise-token": (
        "Make a new, empty token {token} in the HSM for {owner}.",
        "在密码机中为{owner}建立新的空令牌 {token}。",
    ),
    "generate-key": (
        "Make a new key {key} in token {token}, belonging to {owner}.",
        "在令牌 {token} 中生成新密钥 {key}，归属{owner}。",
    ),
    "request-certificate": (
        "Make a certificate request, signed by key {key} of {owner}, for a certification authority outside the box.",
        "由{owner}的密钥 {key} 签出证书请求，交给机外的证书颁发机构。",
    ),
    "import-certificate": (
        "Take over the certificate that an outside certification authority made for key {key} of {owner}.",
        "导入机外证书颁发机构为{owner}的密钥 {key} 签发的证书。",
    ),
    "issue-certificate": (
        "Issue a certificate for key {key} of {owner} by the box's authority {authority}.",
        "由本机的颁发机构 {authority} 为{owner}的密钥 {key} 签发证书。",
    ),
    "activate-key": (
        "Begin to use key {key} of {owner}.",
        "开始使用{owner}的密钥 {key}。",
    ),
    "rotate-key": (
        "Let key {successor} take the place of key {key} of {owner}.",
        "以密钥 {successor} 接替{owner}的密钥 {key}。",
    ),
    "resume-key": (
        "Let key {key} of {owner} be used again.",
        "恢复使用{owner}的密钥 {key}。",
    ),
    "declare-compromised": (
        "Declare key {key} of {owner} compromised. It never signs again, nothing is veiled to it any more, and its "
        "certificate is revoked. This cannot be undone.",
        "宣告{owner}的密钥 {key} 已泄露。它不再签名，也不再用于密封，其证书被吊销。此操作不可撤回。",
    ),
    "destroy-key": (
        "Destroy key {key} of {owner} in its token. Only a backup can bring it back.",
        "在令牌中销毁{owner}的密钥 {key}。除备份外无法找回。",
    ),
    "destroy-release-key": (
        "Destroy release key {key} of {owner} in its token, for ever. {unopened} veiled values that are not opened yet "
        "can then be opened by nobody.",
        "在令牌中永久销毁{owner}的开封密钥 {key}。尚未开封的 {unopened} 项密封内容此后任何人都无法打开。",
    ),
    "make-message-key": (
        "Make a key in token {token} to which partners of {owner} encrypt messages from now on.",
        "在令牌 {token} 中生成密钥，{owner}的合作方此后以其加密报文。",
    ),
    "make-uniqueness-key": (
        "Make the key by which letters of {owner} are used once. It is never replaced.",
        "为{owner}生成用于判定函件唯一性的密钥。该密钥不得更换。",
    ),
    "back-up-keys": (
        "Back up keys of {owner} under a new wrapping key that is split among custodians.",
        "备份{owner}的密钥。包裹密钥新生成，并分割给各保管人。",
    ),
    "restore-keys": (
        "Restore keys of {owner} from a backup into token {token}.",
        "把{owner}的密钥从备份恢复到令牌 {token}。",
    ),
    "set-standby": (
        "Let token {standby} stand by for token {token} of {owner}: it signs with the keys that were restored into it "
        "while the first one is gone.",
        "以令牌 {standby} 作为{owner}的令牌 {token} 的备用令牌：主令牌不可用期间，由备用令牌以已恢复到其中的密钥签名。",
    ),
    "end-standby": (
        "Let token {standby} stand by for token {token} of {owner} no longer. The keys in it stay there.",
        "令牌 {standby} 不再作为{owner}的令牌 {token} 的备用令牌。其中的密钥保留。",
    ),
    "create-authority": (
        "Make key {key} a certification authority of the box, with a root certificate that it signs itself.",
        "以密钥 {key} 建立本机的证书颁发机构，其根证书由自身签署。",
    ),
    "set-profile": (
        "Let applications of tenant {tenant} enrol for certificates without officers, within profile {profile} of "
        "authority {authority}.",
        "允许租户 {tenant} 的应用按颁发机构 {authority} 的证书模板 {profile} 自助申领证书，无需安全官逐次批准。",
    ),
    "authorise-enrolment": (
        "Let application {application} of {owner} enrol once for a certificate under profile {profile}. "
        "The console shows the secret for it.",
        "允许{owner}的应用 {application} 按证书模板 {profile} 申领一次证书。所需口令在控制台显示。",
    ),
    "revoke-certificate": (
        "Revoke a certificate of {owner} for ever.",
        "永久吊销{owner}的一张证书。",
    ),
    "release-certificate": (
        "Lift the hold on a certificate of {owner}.",
        "解除对{owner}一张证书的暂停。",
    ),
    "create-tenant": (
        "Create tenant {name} with a token {token}, a content key and a log of its own.",
        "建立租户 {name}，并为其建立令牌 {token}、内容密钥和日志。",
    ),
    "rename-tenant": (
        "Register another name of the institution that is tenant {name}. Certificates that the box's authorities issue "
        "to it from now on say {title}; those in force stay as they are.",
        "变更租户 {name} 所属机构的注册名称。本机颁发机构此后为其签发的证书使用名称{title}；有效证书保持不变。",
    ),
    "set-quota": (
        "Set what tenant {name} may use in a day (UTC).",
        "设定租户 {name} 每日（UTC）可用的限额。",
    ),
    "resume-tenant": (
        "Let suspended tenant {name} work again.",
        "恢复已停用的租户 {name}。",
    ),
    "create-federation": (
        "Create federation {name}: a register, under a key of its own in token {token}, of what may be used once among "
        "several institutions.",
        "建立联合登记 {name}：在多家机构之间登记只能使用一次的事项，其专用密钥存于令牌 {token}。",
    ),
    "admit-to-federation": (
        "Allow tenant {institution} to join federation {name}.",
        "允许租户 {institution} 加入联合登记 {name}。",
    ),
    "join-federation": (
        "Let {owner} take part in federation {federation}. What its letters use once is then used for all members; of "
        "the others it learns “taken” and nothing else.",
        "让{owner}加入联合登记 {federation}。其函件使用一次的事项对全体成员均视为已使用；"
        "对其他成员仅获知“已占用”，别无其他。",
    ),
    "leave-federation": (
        "Let {owner} take part in federation {federation} no more. What its letters used there stays used.",
        "让{owner}退出联合登记 {federation}。其函件在其中已使用的事项仍视为已使用。",
    ),
    "enrol-application": (
        "Let application {application} of {owner} call the box, with these permissions and no others.",
        "允许{owner}的应用 {application} 调用本机，权限仅限下列各项。",
    ),
    "enrol-certificate": (
        "Let the holder of a certificate call the box as application {application} of {owner}.",
        "允许一张证书的持有者以{owner}的应用 {application} 的身份调用本机。",
    ),
    "resume-application": (
        "Let suspended application {application} of {owner} call the box again.",
        "恢复已停用的{owner}的应用 {application}。",
    ),
    "set-approval-policy": (
        "Set who of {owner} must approve letters under policy {policy}.",
        "设定{owner}在审批策略 {policy} 下由谁批准函件。",
    ),
    "register-seal": (
        "Let seals of {owner} be seen as this picture: seal object {seal}, by the keys of these certificates and no "
        "others, within these times.",
        "允许{owner}的签章以此图像显示：印章对象 {seal}，仅限下列证书的密钥，并限于下列时间。",
    ),
    "withdraw-seal": (
        "Let no seal of {owner} be seen as seal object {seal} any more, at once. What was sealed stays. A quorum can "
        "register it again.",
        "立即撤回{owner}的印章对象 {seal}，不再以其显示签章。已盖的签章不变。可由法定人数重新登记。",
    ),
    "install-kind": (
        "Let {owner} write letters of this kind. Letters that began under another version of it keep to that.",
        "允许{owner}出具下列种类的函件。此前已开立的函件仍适用其开立时的版本。",
    ),
    "set-letter-terms": (
        "Set what letters of {owner} may come to, or what their events cost, as this file says; it takes the place of "
        "the one before it.",
        "按下列文件设定{owner}函件的限额或收费；取代此前的文件。",
    ),
    "resume-issuing": (
        "Let {owner} issue letters of kind {kind} again.",
        "恢复{owner}新开种类 {kind} 的函件。",
    ),
    "set-witnesses": (
        "From now on {needed} of the witnesses below must cosign each head of the log of {owner}. Those that are not "
        "there are asked no more.",
        "此后{owner}的日志的每个树头须由下列见证方中的 {needed} 个联署。未列出的不再请求。",
    ),
    "renew-logs": (
        "Let every log of the box and of its tenants go on under the hash {hash}: each ends, and another one begins "
        "that commits to all of it. Somebody with access to the stopped box does it by command, once or never.",
        "准许本机及其各租户的日志改用杂凑算法 {hash} 接续：原日志各自终止，新日志以其首条承诺原日志的全部内容。"
        "由能接触已停机设备的人员以命令执行，至多一次。",
    ),
    "set-algorithm-ends": (
        "Tell verifiers, in the trust bundle, until when they may rely on the algorithms below. No other has an end "
        "any more. What nothing shows to have existed before an end does not pass after it.",
        "在信任包中告知验证方下列算法可信赖至何时；未列出的算法不再有截止时间。到截止时间仍无证明其先已存在者，不再通过验证。",
    ),
    "install-adapter": (
        "File letters of {owner} with an authority by this adapter. Its host is one that the box's settings allow.",
        "按此适配器将{owner}的函件报送主管机构；其主机须在本机设置的许可之列。",
    ),
    "set-partner": (
        "Let partner {partner} of {owner} send messages to the gateway as follows.",
        "允许{owner}的合作方 {partner} 按下列规定向报文网关发送报文。",
    ),
    "approve-update": (
        "Allow the box to install software version {version}.",
        "允许本机安装软件版本 {version}。",
    ),
    "recover-from-tamper": (
        "Bring the box back after a tamper signal.",
        "在防拆报警之后恢复本机。",
    ),
    "unlock": (
        "Unlock the box: it may sign again.",
        "解锁本机，恢复签名。",
    ),
    "suspend-key": (
        "Stop using key {key} of {owner}, at once. A quorum can resume it.",
        "立即停用{owner}的密钥 {key}。可由法定人数恢复。",
    ),
    "deactivate-key": (
        "End the use of key {key} of {owner}, at once. A quorum can resume it.",
        "立即结束{owner}的密钥 {key} 的使用。可由法定人数恢复。",
    ),
    "hold-certificate": (
        "Put a certificate of {owner} on hold, at once. A quorum can lift the hold.",
        "立即暂停{owner}的一张证书。可由法定人数解除。",
    ),
    "suspend-application": (
        "Refuse calls of application {application} of {owner}, at once. A quorum can resume it.",
        "立即停用{owner}的应用 {application}。可由法定人数恢复。",
    ),
    "stop-issuing": (
        "Let {owner} issue nothing new of kind {kind}, at once. Letters that stand go on. A quorum can let it go on.",
        "立即停止{owner}新开种类 {kind} 的函件。已有函件不受影响。可由法定人数恢复。",
    ),
    "suspend-tenant": (
        "Suspend tenant {name}, at once. A quorum can resume it.",
        "立即停用租户 {name}。可由法定人数恢复。",
    ),
    "lock": (
        "Lock the box, at once: nothing is signed until a quorum unlocks it.",
        "立即锁定本机：在法定人数解锁之前不再签名。",
    ),
    "stop": (
        "Shut the box down, at once.",
        "立即关闭本机。",
    ),
}  # fmt: skip

LABELS: Final[dict[str, Pair]] = {
    "action": ("Action", "操作"),
    "actions": ("Actions", "操作"),
    "adapter": ("Adapter", "适配器"),
    "after_approval": ("After approval", "批准之后"),
    "algorithms": ("Algorithms, each with its end", "算法及其截止时间"),
    "answer_key": ("Key that signs answers", "签署应答的密钥"),
    "application": ("Application", "应用"),
    "applications": ("Applications that may use it", "可使用它的应用"),
    "approvers": ("Approvers", "审批人"),
    "attestation_roots": ("Makers of authenticators that are trusted", "信任的认证器厂商根证书"),
    "audit": ("Log that was seen", "所见日志"),
    "authority": ("Authority", "颁发机构"),
    "backup": ("Backup file, SHA-256", "备份文件 SHA-256"),
    "backup_eligible": ("Passkeys that can be copied", "可复制的通行密钥"),
    "because": ("Because", "原因"),
    "box": ("Box", "设备"),
    "bundle": ("Update file, SHA-256", "升级包 SHA-256"),
    "calls": ("What it may ask for", "可请求的操作"),
    "card_decryption": ("Key for backup shares, SHA-256", "备份份额加密公钥 SHA-256"),
    "certificate": ("Certificate, SHA-256", "证书 SHA-256"),
    "certificates": ("Certificate that may seal with it, SHA-256", "可用此章的证书 SHA-256"),
    "chain": ("Certificates", "证书链"),
    "common_name": ("Common name", "通用名称"),
    "common_name_pattern": ("Common names that are permitted", "允许的通用名称"),
    "constitution": ("Constitution, SHA-256", "章程 SHA-256"),
    "country": ("Country", "国家"),
    "credential": ("Approval key", "审批密钥"),
    "currency": ("Currency", "币种"),
    "custodians": ("Custodians, one share each", "保管人（每人一份）"),
    "days": ("Valid for days", "有效天数"),
    "encrypt_certificate": ("Answers are encrypted to", "应答加密至"),
    "expires": ("Expires", "失效时间"),
    "federation": ("Federation", "联合登记"),
    "file": ("Kind of letter: its file", "函件种类文件"),
    "hash": ("Hash of the logs", "日志的杂凑算法"),
    "terms": ("Limits or fees: the file", "限额或收费文件"),
    "witnesses": ("Witnesses, by key and address", "见证方（密钥与地址）"),
    "witness_authorities": ("CAs of the witnesses' TLS certificates", "见证方 TLS 证书的颁发机构"),
    "needed": ("How many must cosign", "须联署的个数"),
    "revoked": ("Keys whose cosignatures count no more", "联署不再计入的密钥"),
    "finding": ("What was found", "检查结果"),
    "for_backup": ("May leave the token for a backup", "可导出备份"),
    "format": ("Format", "格式"),
    "id": ("Identifier", "标识"),
    "image": ("Picture, SHA-256", "图像 SHA-256"),
    "in_order": ("One after another, in this order", "依次逐个审批"),
    "institution": ("Tenant that may join", "可加入的租户"),
    "institutions": ("Tenants that may join", "可加入的租户"),
    "issued": ("Issued", "颁布时间"),
    "key": ("Key", "密钥"),
    "keys": ("Keys", "密钥"),
    "kind": ("Kind", "类型"),
    "kinds": ("Kinds of letters", "函件种类"),
    "longest_hours": ("Longest life of a proposal, hours", "提案最长有效小时数"),
    "made": ("Made", "提出时间"),
    "mode": ("Mode", "模式"),
    "model": ("Authenticator model", "认证器型号"),
    "models": ("Authenticator models that are permitted", "允许的认证器型号"),
    "most": ("Certificates in force at once, at most", "同时有效证书上限"),
    "name": ("Name", "名称"),
    "not_after": ("Until", "截止时间"),
    "not_before": ("From", "起始时间"),
    "nonce": ("Nonce", "随机数"),
    "officers": ("Officers", "安全官"),
    "organisation": ("Organisation", "组织"),
    "origin": ("Origin", "来源"),
    "origins": ("Addresses that approvals may come from", "允许的审批网址"),
    "overlap_hours": ("Hours in which both work", "两者并用的小时数"),
    "owner": ("Belongs to", "归属"),
    "partner": ("Partner", "合作方"),
    "permissions": ("Permissions", "权限"),
    "persons": ("Persons", "人员"),
    "policies": ("Time-stamp policies (time-stamping units only)", "时间戳策略（仅时间戳单元）"),
    "policy": ("Policy", "策略"),
    "previous": ("Version before, SHA-256", "前一版 SHA-256"),
    "profile": ("Profile", "证书模板"),
    "proposal": ("Proposal, SHA-256", "提案 SHA-256"),
    "public": (
        "Open to the network without an application's certificate (time-stamping units only)",
        "无需应用证书即可从网络使用（仅时间戳单元）",
    ),
    "public_key": ("Public key, SHA-256", "公钥 SHA-256"),
    "published": ("Log is published", "公开日志"),
    "purpose": ("Purpose", "用途"),
    "quorum": ("Approvals needed", "所需批准"),
    "quota": ("Daily limits", "每日限额"),
    "reason": ("Reason", "理由"),
    "recovery": ("Decided by the recovery roster", "由恢复名册决定"),
    "rehearsal": ("Rehearsal", "演练"),
    "requester": ("Requested by", "提出人"),
    "role": ("Issues", "签发"),
    "root": ("Root", "根哈希"),
    "rp_id": ("Name that approval keys are bound to", "审批密钥绑定的域名"),
    "rules": ("Rules of approval", "审批规则"),
    "scheme": ("Algorithm", "算法"),
    "scope": ("Scope", "范围"),
    "seal": ("Seal object", "印章对象"),
    "seal_type": ("Kind of seal", "印章类别"),
    "scopes": ("Scopes", "范围"),
    "side_mm": ("Side of its square, millimetres", "边长（毫米）"),
    "sign": ("How it signs", "签名算法"),
    "sign_certificates": ("It signs with", "签名证书"),
    "signature_limit": ("Signatures, at most", "签名次数上限"),
    "signatures": ("Seals a day", "每日签章数"),
    "since": ("Since", "起始时间"),
    "size": ("Entries", "条目数"),
    "standby": ("Standby token", "备用令牌"),
    "stamps": ("Time-stamps a day", "每日时间戳数"),
    "storage_bytes": ("Bytes stored a day", "每日存储字节数"),
    "successor": ("Successor", "接替密钥"),
    "tenant": ("Tenant", "租户"),
    "threshold": ("Threshold", "门限"),
    "tiers": ("Tiers", "档位"),
    "title": ("Title", "标题"),
    "token": ("Token", "令牌"),
    "until": ("Until", "截止时间"),
    "unopened": ("Veiled values not opened yet", "尚未开封的密封内容数"),
    "up_to": ("Amounts up to", "金额上限"),
    "use": ("Use", "用途"),
    "version": ("Version", "版本"),
    "window_s": ("Seconds by which its clock may be off", "允许的时钟偏差（秒）"),
    "waiting_hours": ("Waiting hours, in public", "公示等待小时数"),
}

MEANINGS: Final[dict[tuple[str, str], Pair]] = {
    ("purpose", "seal"): ("seals over letters and documents", "函件与文件签章"),
    ("purpose", "stamp"): ("time-stamps", "时间戳"),
    ("purpose", "log"): ("heads of logs", "日志检查点"),
    ("purpose", "authority"): ("certificates", "签发证书"),
    ("purpose", "ocsp"): ("answers about certificates", "证书状态应答"),
    ("purpose", "account"): ("transactions of one account on an outside ledger", "外部账本上一个账户的交易"),
    ("purpose", "release"): (
        "opening what was veiled for later; what the old key opens stays openable when another follows it",
        "打开日后开封的密封内容；由新密钥接替后，旧密钥仍可打开此前的内容",
    ),
    ("use", "tls-client"): ("applications prove who they are", "应用身份认证"),
    ("use", "tls-server"): ("servers prove who they are", "服务器身份认证"),
    ("role", "tsa"): ("certificates of time-stamping units", "时间戳单元证书"),
    ("role", "seal"): ("certificates of seal keys", "签章密钥证书"),
    ("role", "tls"): ("certificates of applications and servers", "应用与服务器证书"),
    ("reason", "unspecified"): ("no reason given", "未说明"),
    ("reason", "key-compromise"): ("the key is compromised", "密钥泄露"),
    ("reason", "affiliation-changed"): ("the holder's affiliation changed", "持有者归属变更"),
    ("reason", "superseded"): ("another certificate takes its place", "已被取代"),
    ("reason", "cessation-of-operation"): ("it is no longer needed", "停止使用"),
    ("mode", "rehearsal"): (
        "this is a rehearsal box: nothing of it is ever valid outside a rehearsal",
        "本机为演练设备：仅供演练，永不生效于正式环境",
    ),
    ("mode", "production"): ("it is meant", "正式生效"),
    ("seal_type", "official"): ("the institution's own seal", "公章"),
    ("seal_type", "contract"): ("for contracts", "合同专用章"),
    ("seal_type", "finance"): ("for finance", "财务专用章"),
    ("seal_type", "guarantee"): ("for guarantees", "担保专用章"),
    ("seal_type", "legal-representative"): ("of the legal representative", "法定代表人章"),
    ("format", "envelope"): ("five members in a JSON object", "五元素 JSON 报文"),
    ("format", "jose"): ("a JWS over a JWE", "JWE 外加 JWS"),
    ("kind", "passkey"): ("held by an authenticator", "存于认证器"),
    ("kind", "card"): ("held by a card", "存于智能卡"),
}
"""What a value of a closed set means; the value itself is shown too."""

EMPTY: Final[dict[str, Pair]] = {
    "applications": ("every application that the register permits", "登记册许可的所有应用"),
    "models": ("any model", "任何型号"),
    "attestation_roots": ("none: a model is the browser's word", "无：型号以浏览器所报为准"),
    "model": ("not said", "未说明"),
    "card_decryption": ("none: shares are shown on the console", "无：份额在控制台显示"),
    "up_to": ("any amount", "不限金额"),
    "institutions": ("none yet", "暂无"),
    "permissions": ("none: it may do nothing", "无：不得进行任何操作"),
    "calls": ("nothing: the partner is closed", "无：合作方已关闭"),
    "kinds": ("none", "无"),
}
"""What an empty text or list says."""

WORDS: Final[dict[str, Pair]] = {
    "box": ("the box", "本机"),
    "tenant": ("tenant {name}", "租户 {name} "),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "none": ("none", "无"),
    "unlimited": ("no limit", "不限"),
    "one_party": ("acts for the party with this id", "代表该标识的当事人行事"),
    "every_party": ("acts for every party", "代表所有当事人行事"),
    "kind": ("{id}, version {version}, {title}", "{id}，第{version}版，{title}"),
    "image_words": ("The same in words", "以单词表示"),
    "terms_limits": ("Limits, version {version}", "限额，第{version}版"),
    "terms_tariff": ("Tariff {title}, version {version}", "收费标准{title}，第{version}版"),
    "terms_broken": ("it cannot be read as limits or as a tariff", "无法读作限额或收费标准"),
    "terms_line": ("It says", "内容"),
    "kind_of_letter": ("Kind of letter", "函件种类"),
    "kind_digest": ("Its file, SHA-256", "文件 SHA-256"),
    "kind_words": ("The same in words", "以单词表示"),
    "kind_broken": ("it cannot be read as a kind", "无法读作函件种类"),
    "kind_about": ("What it is for", "用途"),
    "kind_field": ("Field {title}", "字段{title}"),
    "kind_event": ("Event {title}", "事件{title}"),
    "kind_rule": ("Holds for all", "通用规则"),
    "first": ("none: this is the first version", "无：这是第一版"),
    "separator": ("; ", "；"),
    "comma": (", ", "、"),
    "colon": (": ", "："),
    "requester": ("{name} ({id})", "{name}（{id}）"),
    "ask": ("{requester} asks: {title}", "{requester} 提出：{title}"),
    "alone": (
        "It takes effect at once on the requester's own signed word; nobody else need approve.",
        "提出人本人签署后立即生效，无需他人批准。",
    ),
    "together": (
        "Officers beside the requester must approve: {quorum}.",
        "除提出人外，须由其他安全官批准：{quorum}。",
    ),
    "approvals": ("{threshold} of {scope}", "{scope} {threshold} 名"),
    "log": ("{origin}, {size} entries, root {root}", "{origin}，{size} 条，根哈希 {root}"),
    "step": ("Step {number}", "第 {number} 步"),
    "certificate": (
        "{subject}, issued by {issuer}, valid {begin} to {end}, SHA-256 {digest}",
        "{subject}，由 {issuer} 签发，有效期 {begin} 至 {end}，SHA-256 {digest}",
    ),
    "unreadable": ("no certificate that can be read, SHA-256 {digest}", "无法读取的证书，SHA-256 {digest}"),
    "person": ("{name}, identifier {id}", "{name}，标识 {id}"),
    "passkey": (
        "passkey {id} of model {model} bound to {rp_id}, {copies}, public key SHA-256 {digest}, in words: {words}",
        "通行密钥 {id}，型号 {model}，绑定 {rp_id}，{copies}，公钥 SHA-256 {digest}，助记词：{words}",
    ),
    "card": (
        "card {id} of model {model}, {copies}, bound to {rp_id}, {certificate}, in words: {words}",
        "智能卡 {id}，型号 {model}，{copies}，绑定 {rp_id}，{certificate}，助记词：{words}",
    ),
    "may_be_copied": ("may be copied to other devices", "可复制到其他设备"),
    "is_not_copied": ("cannot be copied to other devices", "不可复制到其他设备"),
    "roster": (
        "officers {officers}; {threshold} beside the requester must approve",
        "安全官 {officers}；除提出人外须 {threshold} 名批准",
    ),
    "recovery_roster": (
        "recovery by {officers}; {threshold} beside the requester, after {hours} public hours",
        "恢复名册 {officers}；除提出人外须 {threshold} 名，公示 {hours} 小时后生效",
    ),
    "no_recovery": ("no recovery roster", "没有恢复名册"),
    "tier": (
        "{up_to} {currency}: {threshold} of {approvers}, {order}",
        "{up_to} {currency}：{approvers} 中 {threshold} 名，{order}",
    ),
    "in_order": ("one after another", "依次审批"),
    "any_order": ("in any order", "不分先后"),
    "changes": ("What changes", "变更内容"),
    "whole": ("The whole constitution", "章程全文"),
    "new_person": ("new person {person}", "新增人员 {person}"),
    "gone_person": ("person {person} is no longer in it", "人员 {person} 不再列入"),
    "changed_person": ("entry of {person} is another one", "人员 {person} 的条目有变"),
    "new_scope": ("new scope {scope}", "新增范围 {scope}"),
    "joins": ("{person} joins {scope}", "{person} 加入 {scope}"),
    "leaves": ("{person} leaves {scope}", "{person} 离开 {scope}"),
    "joins_recovery": ("{person} joins the recovery roster of {scope}", "{person} 加入 {scope} 的恢复名册"),
    "leaves_recovery": ("{person} leaves the recovery roster of {scope}", "{person} 离开 {scope} 的恢复名册"),
    "threshold_changes": ("threshold of {scope}: {before} becomes {after}", "{scope} 的门限由 {before} 改为 {after}"),
    "recovery_changes": ("the recovery rules of {scope} change", "{scope} 的恢复规则有变"),
    "gone_credential": ("no longer valid: {credential}", "不再有效：{credential}"),
    "becomes": ("{label}: {before} becomes {after}", "{label}：由 {before} 改为 {after}"),
    "rules_change": ("the rules of approval change", "审批规则有变"),
    "nothing_changes": ("nothing", "无"),
}
