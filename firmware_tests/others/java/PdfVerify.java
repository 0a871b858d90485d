import java.io.File;
import java.util.Collection;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.PDSignature;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.tsp.TimeStampToken;

/** PDFBox reads each signature of each PDF named; BouncyCastle verifies what it covers. One line a signature. */
public final class PdfVerify {
    public static void main(String[] files) throws Exception {
        java.security.Security.addProvider(new BouncyCastleProvider());
        for (String name : files) {
            byte[] whole = java.nio.file.Files.readAllBytes(new File(name).toPath());
            try (PDDocument document = PDDocument.load(whole)) {
                for (PDSignature signature : document.getSignatureDictionaries()) {
                    byte[] signed = signature.getSignedContent(whole);
                    byte[] contents = signature.getContents(whole);
                    int[] range = signature.getByteRange();
                    boolean toTheEnd = range[2] + range[3] == whole.length;
                    boolean valid;
                    if ("ETSI.RFC3161".equals(signature.getSubFilter())) {
                        TimeStampToken token = new TimeStampToken(new CMSSignedData(contents));
                        byte[] digest = java.security.MessageDigest.getInstance("SHA-256").digest(signed);
                        valid = java.util.Arrays.equals(digest, token.getTimeStampInfo().getMessageImprintDigest());
                    } else {
                        valid = verify(new CMSSignedData(new CMSProcessableByteArray(signed), contents));
                    }
                    System.out.println(new File(name).getName() + " " + signature.getSubFilter() + " "
                        + (valid ? "valid" : "INVALID") + " " + (toTheEnd ? "whole" : "part"));
                }
            }
        }
    }

    private static boolean verify(CMSSignedData data) throws Exception {
        for (SignerInformation signer : data.getSignerInfos().getSigners()) {
            @SuppressWarnings("unchecked")
            Collection<X509CertificateHolder> found = data.getCertificates().getMatches(signer.getSID());
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(
                    found.iterator().next()))) {
                return false;
            }
        }
        return true;
    }
}
