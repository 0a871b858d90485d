import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.util.Date;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.ers.ERSByteData;
import org.bouncycastle.tsp.ers.ERSEvidenceRecord;

/**
 * EvidenceRecordVerify SECONDS RECORD DOCUMENT [RECORD DOCUMENT]...
 *
 * Prints for each record "ok" or "failed REASON". Checked: the record covers the document by its hash tree, and the
 * token's signature by the certificate within it.
 */
public final class EvidenceRecordVerify {
    public static void main(String[] arguments) throws Exception {
        BouncyCastleProvider provider = new BouncyCastleProvider();
        Security.addProvider(provider);
        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider(provider).build();
        Date at = new Date(Long.parseLong(arguments[0]) * 1000);
        for (int i = 1; i < arguments.length; i += 2) {
            String verdict = "ok";
            try {
                ERSEvidenceRecord record = new ERSEvidenceRecord(Files.readAllBytes(Path.of(arguments[i])), digests);
                record.validatePresent(new ERSByteData(Files.readAllBytes(Path.of(arguments[i + 1]))), at);
                record.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider(provider)
                    .build(record.getSigningCertificate()));
            } catch (Exception error) {
                verdict = "failed " + error;
            }
            System.out.println(verdict);
        }
    }
}
