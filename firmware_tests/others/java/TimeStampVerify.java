import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXCertPathBuilderResult;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.cmp.PKIFailureInfo;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampResponse;
import org.bouncycastle.tsp.TimeStampToken;
import org.bouncycastle.tsp.TimeStampTokenInfo;

/**
 * TimeStampVerify ROOT.pem REQUEST RESPONSE [REQUEST RESPONSE]...
 *
 * Prints for each pair "ok GENTIME_MS ACCURACY_US SERIAL POLICY NAMED|unnamed EXTENSIONS", or "rejected FAILURE_BITS",
 * or "failed REASON". Checked: the response answers the request (imprint, nonce, policy), the token's signature and
 * signing-certificate attribute by its own certificate, that certificate for time-stamping, its path to the root at
 * genTime, and that every structure is DER.
 */
public final class TimeStampVerify {
    private static final BouncyCastleProvider BC = new BouncyCastleProvider();

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(BC);
        X509Certificate root;
        try (InputStream in = Files.newInputStream(Path.of(arguments[0]))) {
            root = (X509Certificate) CertificateFactory.getInstance("X.509", BC).generateCertificate(in);
        }
        for (int i = 1; i < arguments.length; i += 2) {
            String verdict;
            try {
                byte[] request = Files.readAllBytes(Path.of(arguments[i]));
                byte[] response = Files.readAllBytes(Path.of(arguments[i + 1]));
                verdict = verify(new TimeStampRequest(request), response, root);
            } catch (Exception | AssertionError error) {
                verdict = "failed " + error.toString().replace('\n', ' ');
            }
            System.out.println(verdict);
        }
    }

    private static String verify(TimeStampRequest request, byte[] encoded, X509Certificate root) throws Exception {
        TimeStampResponse response = new TimeStampResponse(encoded);
        response.validate(request);
        if (!java.util.Arrays.equals(encoded, response.getEncoded("DL"))) {
            throw new AssertionError("the response is not encoded with definite lengths throughout");
        }
        if (response.getTimeStampToken() == null) {
            PKIFailureInfo failure = response.getFailInfo();
            return "rejected " + failure.intValue() + " " + response.getStatusString();
        }
        TimeStampToken token = response.getTimeStampToken();
        if (!java.util.Arrays.equals(token.getEncoded(), token.getEncoded("DER"))) {
            throw new AssertionError("the token is not DER");
        }
        Collection<X509CertificateHolder> found = signersOf(token);
        if (found.size() != 1) {
            throw new AssertionError("the token carries " + found.size() + " signing certificates");
        }
        X509CertificateHolder signer = found.iterator().next();
        token.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(signer));
        TimeStampTokenInfo info = token.getTimeStampInfo();
        checkPath(token, signer, info, root);
        GeneralName name = info.getTsa();
        if (name != null && !name.getName().equals(signer.getSubject())) {
            throw new AssertionError("the TSA's name is not its certificate's subject");
        }
        long accuracy = -1;
        if (info.getGenTimeAccuracy() != null) {
            accuracy = info.getGenTimeAccuracy().getSeconds() * 1_000_000L
                    + info.getGenTimeAccuracy().getMillis() * 1_000L
                    + info.getGenTimeAccuracy().getMicros();
        }
        int extensions = info.getExtensions() == null ? 0 : info.getExtensions().getExtensionOIDs().length;
        return "ok " + info.getGenTime().getTime() + " " + accuracy + " " + info.getSerialNumber().toString(16) + " "
                + info.getPolicy() + " " + (name == null ? "unnamed" : "named") + " " + extensions;
    }

    @SuppressWarnings("unchecked") // SignerId is a raw Selector
    private static Collection<X509CertificateHolder> signersOf(TimeStampToken token) {
        return token.getCertificates().getMatches(token.getSID());
    }

    private static void checkPath(
            TimeStampToken token, X509CertificateHolder signer, TimeStampTokenInfo info, X509Certificate root)
            throws Exception {
        JcaX509CertificateConverter converter = new JcaX509CertificateConverter().setProvider(BC);
        List<X509Certificate> certificates = new ArrayList<>();
        for (X509CertificateHolder holder : token.getCertificates().getMatches(null)) {
            certificates.add(converter.getCertificate(holder));
        }
        X509CertSelector target = new X509CertSelector();
        target.setCertificate(converter.getCertificate(signer));
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(Set.of(new TrustAnchor(root, null)), target);
        parameters.setRevocationEnabled(false);
        parameters.setDate(info.getGenTime());
        parameters.addCertStore(
                CertStore.getInstance("Collection", new CollectionCertStoreParameters(certificates), BC));
        PKIXCertPathBuilderResult path =
                (PKIXCertPathBuilderResult) CertPathBuilder.getInstance("PKIX", BC).build(parameters);
        if (path.getCertPath().getCertificates().isEmpty()) {
            throw new AssertionError("no path to the root");
        }
        // Read again by another implementation of X.509, which has other opinions of what a certificate may be.
        CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(signer.getEncoded()));
    }
}
