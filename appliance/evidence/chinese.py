"""The words of reports in Simplified Chinese, by their English ones. What varies stands in braces, numbered.

A value that is itself a text of this catalogue is translated too. Names of files, subjects and the technical ends of
“malformed” stay as they are.
"""

from __future__ import annotations

from typing import Final

CHECKS: Final[dict[str, str]] = {
    "algorithms": "算法",
    "artifact": "所附签名",
    "audit export": "审计导出",
    "authority": "颁发机构",
    "authority's name": "机构名称",
    "box log": "设备日志",
    "certificate path": "证书路径",
    "certificate validity": "证书有效期",
    "commitment": "承诺值",
    "content": "内容",
    "document": "文件",
    "extensions": "扩展",
    "format": "格式",
    "imprint": "摘要",
    "log": "日志",
    "inclusion": "收录",
    "hash tree": "哈希树",
    "manifest": "清单",
    "message imprint": "消息摘要",
    "nonce": "随机数",
    "policy": "策略",
    "purpose": "用途",
    "range": "范围",
    "record": "记录",
    "revocation": "吊销",
    "selection": "筛选",
    "serial number": "序列号",
    "signature": "签名",
    "signature time-stamp": "签名时间戳",
    "signed attributes": "签名属性",
    "signer": "签署方",
    "signing certificate": "签名证书",
    "stated time": "声明的时间",
    "table": "表格",
    "trust bundle": "信任包",
    "unsigned attribute": "未签名属性",
    "witnesses": "见证方",
}
"""Names of checks."""

KINDS: Final[dict[str, str]] = {
    "time-stamp": "时间戳",
    "seal": "签章",
    "evidence record": "证据记录",
    "log proof": "日志证明",
    "log receipt": "日志回执",
    "log continuation": "日志接续",
    "record opening": "记录开启件",
    "record bundle of a ceremony": "仪式记录包",
    "certificate": "证书",
    "revocation list": "吊销列表",
    "digest": "摘要",
    "time-stamp token (RFC 3161)": "时间戳令牌（RFC 3161）",
    "evidence record (RFC 4998)": "证据记录（RFC 4998）",
    "time-stamp {0} of {1}": "第 {0} 个时间戳，共 {1} 个",
    "signer {0} of {1}": "第 {0} 个签署方，共 {1} 个",
    "{0} in the record": "记录中的{0}",
    "a time-stamp by “{0}”": "“{0}”的时间戳",
    "a seal by “{0}”": "“{0}”的签章",
    "signer {0} of {1}: “{2}”, {3}": "第 {0} 个签署方，共 {1} 个：“{2}”，{3}",
    "seal: “{0}”, {1}": "签章：“{0}”，{1}",
    "the record": "记录",
    "the box's record of the export": "设备对此导出的记录",
    "an unknown signer": "未知签署方",
    "an unknown unit": "未知时间戳单元",
    "trust": "信任",
}
"""Kinds of files, titles of their parts, and who says a time."""

TEXTS: Final[dict[str, str]] = {
    "Malformed: {0}.": "格式损坏：{0}。",
    "Malformed audit export: {0}.": "审计导出格式损坏：{0}。",
    "Malformed record opening: {0}.": "记录开启件格式损坏：{0}。",
    "Made at {0}, and holds.": "作于 {0}，成立。",
    # Certificates and their paths
    "The certificate is one of a release key.": "该证书是开封密钥的证书。",
    "The certificate is not one of a release key.": "该证书不是开封密钥的证书。",
    "The trust bundle names no certificate authority for this purpose.": "信任包未为此用途指定任何证书颁发机构。",
    "The certificates do not make a path ({0}).": "这些证书不能构成路径（{0}）。",
    "No path leads from “{0}” to a certificate authority of the trust bundle.":
        "没有路径从“{0}”通向信任包中的证书颁发机构。",
    "A certificate on the path was not valid at {0}.": "路径上有证书在 {0} 时无效。",
    "The path to the certificate authority breaks a rule of RFC 5280: {0}":
        "通向证书颁发机构的路径违反 RFC 5280 的规则：{0}",
    "“{0}” names “{1}” as its issuer, but was not signed by it.": "“{0}”称其颁发者为“{1}”，但并非由其签名。",
    "The path check asked for something outside the file and the trust bundle.":
        "路径检查要求文件和信任包之外的材料。",
    "“{0}” was certified, through {1} signature(s), by “{2}”, which the trust bundle names.":
        "“{0}”经 {1} 级签名由信任包所列的“{2}”认证。",
    "“{0}” was not on its issuer's revocation list at {1}.": "“{0}”在 {1} 时未列入其颁发者的吊销列表。",
    "The trust bundle declares the key of “{0}” compromised since {1}": "信任包宣告“{0}”的密钥自 {1} 起已泄露",
    "The trust bundle declares the key of “{0}” compromised since {1}; others show that the signature existed before.":
        "信任包宣告“{0}”的密钥自 {1} 起已泄露；他方证明签名此前已存在。",
    "The trust bundle declares the key of “{0}” compromised since {1}, and nothing shows that the signature existed "
    "before.":
        "信任包宣告“{0}”的密钥自 {1} 起已泄露，且没有任何材料证明签名此前已存在。",
    "{0} to {1}": "{0} 至 {1}",
    "The certificate is valid from {0}; {1} ({2}) lies before that.": "证书有效期为 {0}；{1}（{2}）早于有效期。",
    "The certificate is valid from {0}; {1} ({2}) lies after that.": "证书有效期为 {0}；{1}（{2}）晚于有效期。",
    "The certificate is valid from {0}; {1} ({2}) lies after that, and nothing shows that the signature existed "
    "earlier.":
        "证书有效期为 {0}；{1}（{2}）晚于有效期，且没有任何材料证明签名更早已存在。",
    "The certificate was valid ({0}) at {1}: {2}.": "在{1}（{2}），证书有效（{0}）。",
    "“{0}” was revoked at {1}": "“{0}”已于 {1} 被吊销",
    "“{0}” is on hold since {1}.": "“{0}”自 {1} 起被暂停使用。",
    "“{0}” was revoked at {1}, after {2}.": "“{0}”于 {1} 被吊销，晚于{2}。",
    "The certificate authority {0}.": "证书颁发机构{0}。",
    "“{0}” was revoked at {1}, and {2} ({3}) is not earlier.": "“{0}”于 {1} 被吊销，而{2}（{3}）并不更早。",
    "“{0}” was revoked at {1} without a reason that clears its key (RFC 3161, section 4), and nobody else shows that "
    "the stamp existed before.":
        "“{0}”于 {1} 被吊销，吊销原因不能排除密钥问题（RFC 3161 第 4 节），且无他方证明时间戳此前已存在。",
    "“{0}” was revoked at {1}; {2} ({3}) is earlier.": "“{0}”于 {1} 被吊销；{2}（{3}）更早。",
    "“{0}” was revoked at {1}, and nothing shows that the signature existed before.":
        "“{0}”于 {1} 被吊销，且没有任何材料证明签名此前已存在。",
    "No revocation list of “{0}” at hand was in force at {1} or issued later.":
        "手头没有“{0}”在 {1} 时生效或此后签发的吊销列表。",
    "the time of this check": "本次检查的时间",
    "the time by which other evidence shows the signature": "其他证据证明签名已存在的时间",
    "the time of the signature time-stamp": "签名时间戳的时间",
    "the time that the stamp states": "时间戳所声明的时间",
    # Signatures
    "The signed attribute {0} is missing.": "缺少签名属性 {0}。",
    "The attribute {0} stands there more than once.": "属性 {0} 出现不止一次。",
    "The digest algorithm {0} of the {1} is weak, unknown or oddly parametrised.":
        "{1}的摘要算法 {0} 过弱、未知或参数异常。",
    "Not accepted: {0}.": "不予接受：{0}。",
    "the public key is of an unknown kind or malformed": "公钥种类未知或格式损坏",
    "the curve is not an accepted one": "该曲线不被接受",
    "the RSA key is not of an accepted size": "RSA 密钥长度不被接受",
    "the signature algorithm {0} is unknown or does not fit the key": "签名算法 {0} 未知或与密钥不符",
    "RSASSA-PSS without parameters means SHA-1": "RSASSA-PSS 无参数即为 SHA-1",
    "RSASSA-PSS parameters leave a digest at SHA-1": "RSASSA-PSS 参数使某一摘要仍为 SHA-1",
    "RSASSA-PSS signature": "RSASSA-PSS 签名",
    "RSASSA-PSS mask": "RSASSA-PSS 掩码",
    "signing-certificate-v2 attribute": "signing-certificate-v2 属性",
    "the RSASSA-PSS mask is not MGF1 with the same digest": "RSASSA-PSS 掩码不是使用同一摘要的 MGF1",
    "the RSASSA-PSS parameters are out of range": "RSASSA-PSS 参数超出范围",
    "the signature and the digest algorithm name different digests": "签名算法与摘要算法所指的摘要不同",
    "The signature does not fit the bytes and the public key: something was changed, or another key signed.":
        "签名与数据及公钥不符：内容被更改过，或由另一密钥签名。",
    "The certificate of the signer is neither in the file nor among those given.":
        "签署方的证书既不在文件中，也不在所给文件之列。",
    "The certificate that the signer names is not the one that the signed attribute binds.":
        "签署方所指的证书不是签名属性所绑定的证书。",
    "The signed attributes bind the certificate of “{0}”.": "签名属性绑定了“{0}”的证书。",
    "The content type that was signed is not the one that the file states.": "所签的内容类型与文件所述不同。",
    "The algorithms that were signed are not those that the file states (RFC 6211).":
        "所签的算法与文件所述不同（RFC 6211）。",
    "Each attribute that must be signed stands there once.": "每个必须签名的属性都恰好出现一次。",
    "The signature was made with the private key of “{0}”.": "签名由“{0}”的私钥作出。",
    # Seals
    "Nothing given shows that the signers of this seal, who used different digests, signed one document.":
        "此签章的各签署方使用了不同的摘要算法，所给材料不能证明他们签的是同一份文件。",
    "The signers of this seal signed different documents; a seal has one document (RFC 5652, section 5.1).":
        "此签章的各签署方签了不同的文件；一个签章只对应一份文件（RFC 5652 第 5.1 节）。",
    "The document inside the seal ({0} bytes) is, byte for byte, the one that was sealed.":
        "签章内的文件（{0} 字节）与所签章的文件逐字节相同。",
    "The document inside the seal is not the one that was sealed.": "签章内的文件不是所签章的文件。",
    "“{0}” is, byte for byte, the document that was sealed.": "“{0}”与所签章的文件逐字节相同。",
    "The seal states no time of signing.": "签章未声明签名时间。",
    "The seal states that it was made at {0}.": "签章声明其作于 {0}。",
    "The signature existed no later than {0}, says the time-stamp in the seal.":
        "签章中的时间戳表明，签名最迟在 {0} 已存在。",
    "Not covered by the signature, and not used: {0}.": "不在签名覆盖范围内，未予采用：{0}。",
    "The time-stamp is over this very signature.": "时间戳针对的正是此签名。",
    "The time-stamp is over something else than this signature.": "时间戳针对的不是此签名。",
    "The time-stamp in the seal does not verify: {0}": "签章中的时间戳未通过验证：{0}",
    "The seal states a time of signing, {0}, that is still to come.": "签章声明的签名时间 {0} 尚未到来。",
    "Contradiction: the seal states that it was made at {0}, but it is shown to have existed no later than {1}.":
        "矛盾：签章声明其作于 {0}，但已证明它最迟在 {1} 已存在。",
    "The certificate is one that may seal documents.": "该证书可用于对文件签章。",
    "The certificate is not one that may seal documents.": "该证书不可用于对文件签章。",
    # Time-stamps
    "The time-stamping authority refused (status {0}): the response holds no token.":
        "时间戳机构已拒绝（状态 {0}）：响应中没有令牌。",
    "The token has a critical extension, {0}, that this verifier does not know.":
        "令牌带有本验证器不认识的关键扩展 {0}。",
    "What the token states is not what was signed.": "令牌所述并非所签内容。",
    "Contradiction: the stamp states {0}, but others show that it existed no later than {1}.":
        "矛盾：时间戳声明 {0}，但他方证明它最迟在 {1} 已存在。",
    "Contradiction: the stamp states {0}, but a later one of the box's says that it existed at {1}.":
        "矛盾：时间戳声明 {0}，但设备其后的时间戳称它在 {1} 已存在。",
    "The stamp was made under policy {0}, which the trust bundle accepts.":
        "时间戳依策略 {0} 作出，信任包接受该策略。",
    "The stamp was made under policy {0}, which the trust bundle does not accept.":
        "时间戳依策略 {0} 作出，信任包不接受该策略。",
    "The stamp states {0} (no accuracy stated), serial number {1}.": "时间戳声明 {0}（未声明精度），序列号 {1}。",
    "The stamp states {0} ± {1} s, serial number {2}.": "时间戳声明 {0} ± {1} 秒，序列号 {2}。",
    "The serial number is not a positive number of at most 160 bits (RFC 3161, section 2.4.2).":
        "序列号不是不超过 160 位的正数（RFC 3161 第 2.4.2 节）。",
    "The stamp states a time that is still to come.": "时间戳声明的时间尚未到来。",
    "The stamp carries the nonce that was given: it answers that request.":
        "时间戳带有所给的随机数：它应答的正是该请求。",
    "The stamp does not carry the nonce that was given: it answers another request.":
        "时间戳不带有所给的随机数：它应答的是另一请求。",
    "The authority that the stamp names is not the one that its certificate names.":
        "时间戳所指的机构与其证书所指的机构不同。",
    "The certificate is for time-stamping and nothing else, and says so critically.":
        "该证书仅用于时间戳，且以关键扩展注明。",
    "The certificate is not marked, critically and solely, as one for time-stamping (RFC 3161, section 2.3).":
        "该证书未以关键扩展注明仅用于时间戳（RFC 3161 第 2.3 节）。",
    "The certificate's key may not sign documents.": "该证书的密钥不可用于签署文件。",
    "The stamp states a time outside the period in which its key may be used.":
        "时间戳声明的时间不在其密钥可用期内。",
    # Logs, records and evidence records
    "The trust bundle does not name the log {0}.": "信任包未列出日志 {0}。",
    "No key of the log that the trust bundle names for this size has signed its head ({0}).":
        "信任包为此条数所列的日志密钥均未签署其树头（{0}）。",
    "Entry {0} of the log {1}, under its signed head of {2} entries: the log cannot drop or change it without "
    "contradicting its own signature.":
        "日志 {1} 的第 {0} 条，处于其 {2} 条的已签名树头之下：日志若删除或更改它，必与自己的签名矛盾。",
    "“{0}”: {1}": "“{0}”：{1}",
    "The box's own log commits to the log {0} of {1} entries, this record among them, as of {2} by the box's word. {3}":
        "据设备所述，截至 {2}，设备自身日志承诺了含 {1} 条的日志 {0}，此记录在其中。{3}",
    "The box proof does not lead from this record to the box's own log.": "设备证明不能从此记录通向设备自身日志。",
    "The trust bundle does not name {0} as a log that succeeds another one.":
        "信任包未将 {0} 列为接续另一日志的日志。",
    "Entry {0} of the log {1}, which ended at {2} entries: the log {3} succeeds it and commits to every entry of it "
    "under {4}, under its signed head of {5} entries.":
        "日志 {1} 的第 {0} 条；该日志止于 {2} 条：日志 {3} 接续它，并以 {4} 承诺其全部条目，"
        "处于其 {5} 条的已签名树头之下。",
    "Entry {0} of the log {1}, which ended at {2} entries: the log {3} succeeds it and commits to every entry of it "
    "under {4}.":
        "日志 {1} 的第 {0} 条；该日志止于 {2} 条：日志 {3} 接续它，并以 {4} 承诺其全部条目。",
    "Entry {0} of the log {1}, under its signed root of {2} entries.":
        "日志 {1} 的第 {0} 条，处于其 {2} 条的已签名树根之下。",
    "{0} witness(es) of the log: {1}": "日志的 {0} 个见证方：{1}",
    "Seen no later than {0} by {1}.": "最迟在 {0} 被见到：{1}。",
    "The cosignature of {0} counts for nothing: the trust bundle declares its key revoked since {1}.":
        "{0} 的联署不计：信任包宣告其密钥自 {1} 起已吊销。",
    "The cosignature of {0} counts for nothing: it does not hold.": "{0} 的联署不计：该联署不成立。",
    "The cosignature of {0} counts for nothing: it is no witness of this log.":
        "{0} 的联署不计：它不是此日志的见证方。",
    "The signature of {0} counts for nothing: the trust bundle does not name its key.":
        "{0} 的签名不计：信任包未列出其密钥。",
    "So do {0} further signature(s) under the log's head.": "日志树头下另有 {0} 个签名亦不计。",
    "{0} of the {1} witnesses that the trust bundle asks for have cosigned the log's head: ask the box for a proof "
    "under a cosigned one.":
        "信任包要求 {1} 个见证方，已联署日志树头的有 {0} 个：请向设备索取在已联署树头之下的证明。",
    "{0} of {1} witnesses have cosigned this head: it shows no time.":
        "要求 {1} 个见证方，已联署此树头的有 {0} 个：不能证明时间。",
    "Salt and record hash to the commitment that the log holds instead of them.":
        "盐与记录的哈希即为日志代存的承诺值。",
    "Salt and record do not hash to the commitment: one of them was changed.":
        "盐与记录的哈希与承诺值不符：其中之一被更改过。",
    "A {0} by key {1} of tenant {2} for application {3}, covering {4} item(s), at {5}.":
        "租户 {2} 的密钥 {1} 为应用 {3} 所作的 {0}，涵盖 {4} 项，时间 {5}。",
    "A {0} by key {1} of tenant {2} for application {3}, covering {4} item(s), at {5}, policy {6}.":
        "租户 {2} 的密钥 {1} 为应用 {3} 所作的 {0}，涵盖 {4} 项，时间 {5}，策略 {6}。",
    "None of the stamps and seals given carries the signature that the record is about.":
        "所给的时间戳和签章均不带有记录所述的签名。",
    "Contradiction: {0}": "矛盾：{0}",
    "The record is about exactly this signature, and says the same of it.": "记录所述正是此签名，且内容一致。",
    "the record names other signed bytes than the signature covers.": "记录所指的被签字节与签名所覆盖的不同。",
    "the record names another content than the signature covers.": "记录所指的内容与签名所覆盖的不同。",
    "the record states {0}, the signature {1}.": "记录声明 {0}，签名声明 {1}。",
    "“{0}” is, byte for byte, what was stamped.": "“{0}”与加盖时间戳的内容逐字节相同。",
    "“{0}” is, byte for byte, in the tree that was stamped.": "“{0}”逐字节处于加盖时间戳的哈希树中。",
    "Not looked at. {0}": "未予查看。{0}",
    "The proof does not lead from this record to the log.": "证明不能从此记录通向日志。",
    "Another of the files given proves that the record stands in the log.": "所给的另一文件证明记录存于日志中。",
    "Nothing given proves that the record stands in a trusted log.": "所给材料均不能证明记录存于受信任的日志中。",
    "None of the files given is the one that this speaks about.": "所给文件中没有它所指的那一份。",
    "What this speaks about is not among the files given.": "它所指的内容不在所给文件之列。",
    # Audit exports
    "Entry {0} stands where entry {1} must.": "第 {0} 条占据了第 {1} 条的位置。",
    "Leaf {0} stands where leaf {1} must.": "第 {0} 个叶占据了第 {1} 个叶的位置。",
    "Entry {0} is of another tenant than the log.": "第 {0} 条属于日志以外的租户。",
    "Entry {0} is called a {1} and says that it is another.": "第 {0} 条标为 {1}，其内容却另有所述。",
    "It has {0} leaves of {1}.": "应有 {1} 个叶，只有 {0} 个。",
    "It has not as many records as it says.": "其记录数与所述不符。",
    "It has not as many leaves as it says.": "其叶数与所述不符。",
    "Its leaves do not lead to the head that the log signed: something in it is changed.":
        "其叶不能通向日志所签的树头：其中有内容被更改。",
    "Entries {0} to {1} (not included) of the log {2}, without a gap, under its signed head of {3} entries: {4} shown, "
    "{5} not asked for and not shown. None can have been changed, left out, added or moved.":
        "日志 {2} 的第 {0} 条至第 {1} 条（不含），无缺漏，处于其 {3} 条的已签名树头之下：示出 {4} 条，"
        "未要求且未示出 {5} 条。任何一条都不可能被更改、遗漏、添加或移动。",
    "The log does not have the box's record of this export.": "日志中没有设备对此导出的记录。",
    "The box's record is of another export.": "设备的记录针对另一次导出。",
    "This is not what the box wrote: something in it is changed.": "这不是设备所写的内容：其中有内容被更改。",
    "The log has, as its entry {0}, that the box made this export at {1}, with the filter {2}, and wrote exactly this.":
        "日志第 {0} 条载明：设备于 {1} 以筛选条件 {2} 作此导出，所写内容正是如此。",
    "The log has, as its entry {0}, that the box made this export for {1}, as the management service said, at {2}, "
    "with the filter {3}, and wrote exactly this.":
        "日志第 {0} 条载明：据管理服务所述，设备为 {1} 于 {2} 以筛选条件 {3} 作此导出，所写内容正是如此。",
    "The container is damaged: {0}.": "容器已损坏：{0}。",
    "The manifest is not of these entries.": "清单不是这些条目的清单。",
    "META-INF/ASiCManifest.xml has the SHA-256 of entries.jsonl.":
        "META-INF/ASiCManifest.xml 载有 entries.jsonl 的 SHA-256。",
    "The row of entry {0} is not what the log has there.": "第 {0} 条的行与日志所载不同。",
    "The table has {0} records of {1}.": "表格应有 {1} 条记录，只有 {0} 条。",
    "Each of its {0} records is what the log has at its place.": "其 {0} 条记录均与日志相应位置所载相同。",
    # The report as a whole
    "REHEARSAL: this trust bundle is for practice. What it verifies binds nobody.":
        "演练：此信任包仅供练习，其验证结果对任何人均无约束力。",
    "The trust bundle's key was believed because it is the first one seen. Compare its fingerprint with one that you "
    "got by other means: SHA-256 {0}":
        "信任包的密钥因首次见到而被采信。请与您从其他途径取得的指纹核对：SHA-256 {0}",
    "The trust bundle is not in force at the time of this check; nothing passes until it is renewed.":
        "信任包在本次检查时不在有效期内；更新之前，一切均不能通过。",
    "The trust bundle is not in force at the time of this check.": "信任包在本次检查时不在有效期内。",
    "None of the files given speaks about this one.": "所给文件中没有涉及此文件的。",
    "What speaks about this file did not pass.": "涉及此文件的材料未通过。",
    "These files speak about exactly these bytes, and hold: {0}.": "以下文件针对的正是这些字节，且成立：{0}。",
}  # fmt: skip
"""What checks showed, and notes."""

FRAME: Final[dict[str, str]] = {
    "Everything that was checked holds.": "所检查的各项均成立。",
    "What was given neither proves nor refutes it.": "所给材料既不能证明，也不能否定。",
    "Something is wrong: do not rely on it.": "存在问题：请勿依赖。",
    "Checked against trust bundle version {0} ({1}, of the line that key {2}… began, in force {3} to {4}) at {5}.":
        "对照信任包第 {0} 版检查（{1}，出自密钥 {2}… 起始的系列，有效期 {3} 至 {4}），检查时间 {5}。",
    "rehearsal": "演练",
    "production": "生产",
    "Overall: ": "总体：",
    "  ({0}, {1} bytes)": "  （{0}，{1} 字节）",
    "  ({0})": "  （{0}）",
    "{0}: ": "{0}：",
    "Used to check the other files; not judged itself.": "用于检查其他文件；本身不作判断。",
    "The box claims: {0} ({1}, in {2})": "设备声明：{0}（{1}，载于 {2}）",
    "Existed no later than: {0}, says someone other than the box: {1}.": "最迟存在于：{0}，由设备以外的一方证明：{1}。",
    "Existed no later than: nobody but the box says so.": "最迟存在于：除设备外无人证明。",
}  # fmt: skip
"""What stands around the findings."""
